"""The page as a tool: its list of runs, its curves, and both in a browser."""

import json
import random
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import pytest
from lab import METRICS, contrast, make_summary

from lit_resnet.grid.asked import Asked
from lit_resnet.metrics import TEST_ERROR, TRAIN_ERROR
from lit_resnet.report import looks, runs, write
from lit_resnet.report.looks import DASHED
from lit_resnet.report.page import explore
from lit_resnet.report.page.odd import far, odd
from lit_resnet.report.page.thinned import thin
from lit_resnet.runfolder.status import Status

HOSTILE = "</script><!-- <script>alert('1')</script> & \u2028"
DATA = re.compile(r'<script type="application/json" id="data">(.*?)</script>', re.DOTALL)


@pytest.fixture(scope="module")
def shared(new_lab):
    """Two axes, three seeds: one run has failed, one is under way, one is far from its seeds, one diverged."""
    lab = new_lab()
    axes = {"model.net.shortcut": {"plain": "none", "res": "A"}, "model.net.depth": [20, 56, 110]}
    lab.path = lab.grid({}, seeds=[0, 1, 2], matrix=axes)
    for seed in range(3):
        lab.finish("plain-20", seed, shortcut="none", test_error=9.0 + seed / 10)
        lab.finish("plain-56", seed, shortcut="none", depth=56, test_error=12.0 + 4 * (seed == 1))
        lab.finish("res-20", seed, test_error=8.0 + seed / 10)
        lab.finish("res-110", seed, depth=110, test_error=6.5, diverged=seed == 2)
    lab.finish("res-56", 0, depth=56, test_error=7.0, images_per_second=None)
    lab.run("res-56", 1).write_status(Status(state="failed", error=HOSTILE, step=50, max_steps=600))
    lab.curves(lab.run("res-56", 2), 300, 25, 90.0, 0.5, 8.0)
    lab.run("res-56", 2).write_status(Status(step=300, max_steps=600, attempts=1))
    return lab


@pytest.fixture(scope="module")
def found(shared):
    return runs.read(Asked(shared.path, root=shared.root))


@pytest.fixture(scope="module")
def page(shared):
    return write(Asked(shared.path, root=shared.root)).page


@pytest.fixture(scope="module")
def columns(found):
    return {column.name: column for column in explore.columns(found, odd(found))}


def test_the_columns(columns):
    rest = ["iterations", "train error %", "best test error %", "wall time", "images/s", "note"]
    assert list(columns) == ["cell", "seed", "test error %", "state", "shortcut", "depth", *rest]
    assert [name for name, column in columns.items() if column.chosen] == ["seed", "state", "shortcut", "depth"]
    assert columns["depth"].choices == ["20", "56", "110"]
    assert columns["state"].choices == ["done", "failed", "queued", "stopped"]
    assert columns["shortcut"].choices == ["A", "none"]


def test_a_run_says_why_it_failed_or_how_far_it_is(columns):
    notes = dict(
        zip(zip(columns["cell"].texts, columns["seed"].values, strict=True), columns["note"].texts, strict=True)
    )
    assert notes["res-56", 1] == " ".join(HOSTILE.split())
    assert notes["res-56", 2] == "300 of 600 iterations"
    assert notes["res-20", 0] == notes["plain-110", 0] == ""
    assert notes["res-110", 2] == "odd: diverged"


def test_a_long_reason_is_cut(lab):
    lab.finish("res-20")
    lab.run("res-56").write_status(Status(state="failed", error="x" * 5000))
    found = runs.read(Asked(lab.grid(["res-20", "res-56"]), root=lab.root))
    assert explore.columns(found, odd(found))[-1].texts[1] == "x" * 299 + "…"


def test_what_all_cells_share_is_no_column(lab):
    lab.finish("a", batch_size=64)
    lab.finish("b", batch_size=64)
    optimizer = {"class_path": "torch.optim.Adam"}
    cells = {
        "a": {"model.rate.lr": 0.1, "data.batch_size": 64},
        "b": {"data.batch_size": 64, "model.optimizer": optimizer},
    }
    found = runs.read(Asked(lab.grid(cells), root=lab.root))
    axes = {column.name: column.texts for column in explore.columns(found, odd(found)) if column.chosen}
    assert axes == {"seed": ["0", "0"], "state": ["done", "done"], "lr": ["0.1", "–"], "optimizer": ["–", "Adam"]}


CALM, WILD = [8.0, 8.1, 8.2], [40.0, 44.0, 48.0, 60.0]


@pytest.mark.parametrize(
    ("value", "others", "cells", "distance"),
    [
        (9.0, CALM, [CALM] * 4, None),  # a point at most is chance
        (9.2, CALM, [CALM] * 4, 1.1),
        (7.0, CALM, [CALM] * 4, -1.1),
        (50.0, WILD, [CALM] * 4, None),  # its own seeds scatter
        (120.0, WILD, [CALM] * 4, 74.0),
        (12.0, CALM, [WILD] * 4, None),  # the other cells scatter
        (12.0, CALM, [CALM, CALM, CALM, WILD], 3.9),  # most of them do not
        (90.0, [8.0], [CALM] * 4, None),  # of two, which one is odd?
        (90.0, [8.0, 8.1], [], None),  # nobody knows how three seeds scatter
        (90.0, [8.0, 8.1, 8.2, 8.1, 8.3], [], 81.9),
    ],
)
def test_far_from_the_other_seeds(value, others, cells, distance):
    assert far([[value, *others], *cells])[0][0] == (distance and pytest.approx(distance))


@pytest.mark.parametrize("seeds", [3, 4, 5])
@pytest.mark.parametrize("spreads", [[1.0], [4.0], [0.5, 5.0], [0.5] * 9 + [5.0]])
def test_few_runs_of_an_ordinary_grid_are_odd_and_one_that_failed_is(seeds, spreads):
    noise, called, runs = random.Random(0), 0, 0
    for cells in (20, 100) * 3:
        grid = [[noise.gauss(20, spreads[i % len(spreads)]) for _ in range(seeds)] for i in range(cells)]
        called += sum(distance is not None for cell in far(grid) for distance in cell)
        runs += seeds * cells
        grid[0][0] = 90.0
        assert far(grid)[0][0] == pytest.approx(70, abs=20)
    assert called <= 0.02 * runs


def test_curves_that_all_end_above_their_best_are_ordinary(lab):
    for seed in range(4):
        run = lab.finish("res-20", seed, test_error=14.0 + 0.1 * seed)
        rows = METRICS.read(run.path)
        rows[-3]["test_error"] = 8.0 if seed else 1.0
        METRICS.replace(run.path, rows)
    assert odd(runs.read(Asked(lab.grid(["res-20"], seeds=list(range(4))), root=lab.root))) == [""] * 4


def test_the_odd_runs_are_named(found):
    words = {(run.cell, run.seed): word for run, word in zip(found.runs, odd(found), strict=True) if word}
    far_word = "4.00 points above the median of the other seeds"
    assert words == {("plain-56", 1): far_word, ("res-110", 2): "diverged"}


def test_a_run_that_got_lost_is_odd(lab):
    lost = lab.finish("res-20", test_error=14.0)
    rows = METRICS.read(lost.path)
    rows[-3]["test_error"] = 8.0
    METRICS.replace(lost.path, rows)
    found = runs.read(Asked(lab.grid(["res-20"]), root=lab.root))
    assert found.runs[0].best(TEST_ERROR) == 8.0
    assert odd(found) == ["ended 6.00 points above its best"]


def test_curves_are_whole_where_they_fit(found):
    thinned = thin(found)
    assert thinned.strides == {TRAIN_ERROR: 1, TEST_ERROR: 1}
    assert thinned.note() == "Every logged value is drawn."
    for run, curves in zip(found.runs, thinned.curves, strict=True):
        for name, (steps, errors) in curves.items():
            logged = [(row["step"], row[name]) for row in METRICS.read(run.folder.path) if row[name] is not None]
            assert list(zip(thinned.steps[steps], errors, strict=True)) == [(s, round(100 * e)) for s, e in logged]
    assert len(thinned.steps) == 4, "runs that log alike share their steps; one has come half way"


def test_curves_are_thinned_alike_and_keep_their_last_point(found):
    thinned = thin(found, points=60)
    logged = sum(len(METRICS.read(run.folder.path)) for run in found.runs)
    assert thinned.strides == {TRAIN_ERROR: -(-logged // 60), TEST_ERROR: -(-logged // 120)}
    assert sum(len(errors) for run in thinned.curves for _, errors in run.values()) <= 120 + 2 * len(found.runs)
    for run, curves in zip(found.runs, thinned.curves, strict=True):
        for steps, _ in curves.values():
            assert thinned.steps[steps][-1] == METRICS.read(run.folder.path)[-1]["step"]
    kept = "every 6th train error and every 3rd test error of a run is drawn, and the last"
    assert thinned.note() == f"Thinned: of the logged values only {kept}."


def test_a_damaged_curve_of_an_unfinished_run_stops_no_report(lab):
    lab.finish("a")
    METRICS.file(lab.run("a", 1).path).write_text("step,what\n1,2\n")
    assert "train_error" not in thin(runs.read(Asked(lab.grid(["a"], seeds=[0, 1]), root=lab.root))).curves[1]


def test_no_number_is_no_point(lab):
    run = lab.finish("res-20")
    rows = METRICS.read(run.path)
    rows[1]["test_error"], rows[2]["train_error"] = float("nan"), float("inf")
    METRICS.replace(run.path, rows)
    run.write_summary(make_summary(train_error=float("nan"), diverged=True))
    report = write(Asked(lab.grid(["res-20"]), root=lab.root))
    data = json.loads(DATA.search(report.page.read_text())[1], parse_constant=pytest.fail)
    (run,) = data["runs"]
    assert tuple(len(run["curves"][name][1]) for name in ("train_error", "test_error")) == (23, 11)


def test_without_a_script_the_list_is_whole_and_there_are_no_controls(page, found):
    shown = re.sub("<script.*?</script>", "", page.read_text(), flags=re.DOTALL)
    listed = shown[shown.index('id="runs"') :]
    assert listed.count("<tr") == 1 + len(found.runs)
    for block, after in (("explore", '<div class="scroll wide"'), ("curves", "</section>")):
        hidden = shown.index(f'<div id="{block}" class="wide" hidden>')
        shown = shown[:hidden] + shown[shown.index(after) :]
    assert not re.search("<(button|input|select|canvas)", shown)


def test_nothing_ends_the_script_early(page):
    text = page.read_text()
    assert text.count("</script>") == text.count("<script") == 2
    assert "<!--" not in text
    data = json.loads(DATA.search(text)[1])
    notes = [run["values"][-1] for run in data["runs"] if run["values"][-1]]
    assert " ".join(HOSTILE.split()) in notes


def test_a_curve_looks_as_in_the_figures(page):
    given = json.loads(DATA.search(page.read_text())[1])["looks"]
    colours, dash = given["plain-20"]
    assert dash == list(DASHED)
    assert given["res-20"] == [colours, []]
    assert len({light for (light, _), _ in given.values()}) == 3
    assert given["plain-110"] == [given["res-110"][0], dash], "it has not begun: the grid says what it is"


def test_cells_of_one_depth_are_told_apart(lab):
    values = {"model.rate.lr": [0.01, 0.1, 1.0], "model.sgd.weight_decay": [0.0, 0.1]}
    grid = lab.grid({}, matrix=values)
    lab.finish("lr=0.1,weight_decay=0.1")
    found = runs.read(Asked(grid, root=lab.root)).looks
    assert len({(look.light, look.dash) for look in found.of.values()}) == 6
    assert found.of["lr=0.1,weight_decay=0.0"].light == found.of["lr=0.1,weight_decay=0.1"].light
    assert found.note == "Colour: lr, from light (small) to dark (large). Dashes: weight_decay."
    pairs = {"one": (0.01, 0.0), "two": (0.01, 0.1), "three": (0.1, 0.1)}
    cells = {name: dict(zip(values, pair, strict=True)) for name, pair in pairs.items()}
    uneven = lab.grid(cells, name="uneven")
    lab.finish("one", grid="uneven")
    found = runs.read(Asked(uneven, root=lab.root)).looks
    assert len({look.light for look in found.of.values()}) == 3, "cells of one rate are not one colour"
    many = lab.grid({}, name="many", matrix={"model.x": list("abcdefghi")})
    lab.finish("a", grid="many")
    found = runs.read(Asked(many, root=lab.root)).looks
    assert len({(look.light, look.dash) for look in found.of.values()}) == 9


CSS = (Path(explore.__file__).parent / "page.css").read_text()


def declared(block: str) -> dict[str, str]:
    """The colours that a block of the style sheet declares, by name."""
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})\b", block))


def test_lines_and_labels_stand_out_on_both_pages():
    light, dark = (declared(block) for block in re.findall(r":root[^{]*\{(.*?)\}", CSS, re.DOTALL))
    assert set(light) == set(dark), "each colour has two values"
    assert "#" not in re.sub(r":root[^{]*\{.*?\}|#[a-z][\w-]*", "", CSS, flags=re.DOTALL), "all colours are declared"
    assert (light["page"], dark["page"]) == (looks.WHITE, looks.BLACK)
    for page, drawn in ((light, 0), (dark, 1)):
        lines = [*looks.RAMPS[drawn], *(pair[drawn] for pair in (*looks.PALETTE, looks.UNKNOWN))]
        lines += [looks.ramp(i / 50)[drawn] for i in range(51)]
        assert min(contrast(line, page["page"]) for line in lines) >= 3
        assert min(contrast(page[name], page["page"]) for name in ("faint", "border")) >= 3
        text = ["ink", "soft", "link", "failed", "odd"]
        behind = [(name, "page") for name in text] + [("ink", name) for name in ("shade", "lit", "warned")]
        behind += [(name, f"on-{name}") for name in ("holds", "does-not-hold", "not-enough-runs")]
        behind += [("on-tip", "tip")]
        for name, ground in behind:
            assert contrast(page[name], page[ground]) >= 4.5, (name, ground)


# -- in a browser

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
in_browser = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")

# What the tests' scripts have to hand; the last says what they found, as JSON in an element of its own.
HELPERS = """
const $ = (id) => document.getElementById(id);
const set = (control, value) => { control.value = value; control.dispatchEvent(new Event("input")); };
const head = (name) => [...document.querySelectorAll(".runs th button")].find((one) => one.textContent === name);
const label = (name) => [...document.querySelectorAll("label")].find((one) => one.textContent.startsWith(name));
const select = (name) => label(name).control;
const rows = () => [...document.querySelectorAll(".runs tbody tr")].filter((row) => !row.hidden);
const column = (number) => rows().map((row) => row.cells[number].textContent.trim());
const drawn = () => new Promise((done) => setTimeout(done)); // behind the drawing that waits
const ink = (id) => $(id).getContext("2d").getImageData(60, 0, $(id).width - 80, $(id).height - 50).data
  .reduce((sum, value, i) => sum + (i % 4 < 3 && value ? 1 : 0), 0);
const say = (found) => parent.postMessage(JSON.stringify(found), "*");
window.onerror = (message) => say({ error: message });
"""


# A window is never narrower than 500 pixels, but a frame in it may be.
FRAME = """<iframe src="copy.html" style="width: {width}px; height: 900px; border: 0"></iframe><script>
onmessage = (event) => document.body.append(Object.assign(document.createElement("pre"),
  {{ id: "found", textContent: event.data }}));
</script>"""


def browse(page: Path, folder: Path, script: str, width: int = 1280, *, dark: bool = False) -> dict:
    """What the script says of the page in a browser, at that width and with that colour scheme."""
    copy, frame, profile = folder / "copy.html", folder / "frame.html", folder / "profile"
    frame.write_text(FRAME.format(width=width))
    added = (
        f"<script>{HELPERS}(async () => {{ {script} }})().catch((error) => say({{ error: String(error) }}));</script>"
    )
    copy.write_text(page.read_text().replace("</body>", f"{added}</body>"))
    quiet = ["no-first-run", "disable-background-networking", "disable-component-update", "disable-sync"]
    flags = ["headless", "no-sandbox", "disable-gpu", *quiet, f"user-data-dir={profile}", "window-size=1320,950"]
    flags += [f"blink-settings=preferredColorScheme={0 if dark else 1}", "virtual-time-budget=20000", "dump-dom"]
    command = [CHROMIUM, *(f"--{flag}" for flag in flags), frame.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    answer = json.loads(unescape(re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL)[1]))
    assert "error" not in answer, answer
    return answer


@in_browser
def test_runs_are_sorted_and_chosen(page, tmp_path):
    found = browse(
        page,
        tmp_path,
        """
        const found = { all: $("shown").textContent, order: column(0) };
        head("images/s").click();
        found.up = column(10);
        found.sorted = head("images/s").parentElement.getAttribute("aria-sort");
        head("images/s").click();
        found.down = column(10);
        found.sortedDown = head("images/s").parentElement.getAttribute("aria-sort");
        head("cell").click();
        found.cells = [...new Set(column(0))];
        set(select("depth"), "56");
        found.deep = $("shown").textContent;
        set(select("shortcut"), "A");
        set(select("seed"), "2");
        found.one = [column(0), $("shown").textContent];
        $("reset").click();
        found.reset = [$("shown").textContent, column(0).join() === found.order.join(), select("depth").value];
        set($("text"), "ALERT res");
        found.words = column(0);
        $("best").click();
        found.best = [column(0)[0], column(2), $("text").value];
        $("failed").click();
        found.failed = [column(0), column(11)];
        $("odd").click();
        found.odd = [column(0), column(11)];
        say(found);
        """,
    )
    assert found["all"] == "18 of 18 runs shown, 14 drawn"
    assert found["up"] == ["2,346"] * 12 + ["–"] * 6
    assert found["down"] == found["up"], "what has no value is last in either order"
    assert (found["sorted"], found["sortedDown"]) == ("ascending", "descending")
    assert found["cells"] == ["plain-20", "plain-56", "plain-110", "res-20", "res-56", "res-110"]
    assert found["deep"] == "6 of 18 runs shown, 5 drawn"
    assert found["one"] == [["res-56"], "1 of 18 runs shown, 1 drawn"]
    assert found["reset"] == ["18 of 18 runs shown, 14 drawn", True, ""]
    assert found["words"] == ["res-56"]
    errors = [float(error) for error in found["best"][1]]
    assert errors == sorted(errors)
    assert (found["best"][0], len(errors), found["best"][2]) == ("res-110", 13, "")
    assert found["failed"][0] == ["res-56"]
    assert found["odd"][0] == ["plain-56", "res-110"]
    assert found["odd"][1][1] == "odd: diverged"


@in_browser
def test_curves_are_drawn_toggled_and_named(page, tmp_path):
    found = browse(
        page,
        tmp_path,
        """
        const found = { whole: ink("lines") };
        const legend = [...$("legend").children];
        const pressed = () => legend.filter((one) => one.getAttribute("aria-pressed") === "true").length;
        found.pressed = pressed();
        legend.find((one) => one.textContent === "res-20").click();
        found.off = [$("shown").textContent, pressed()];
        rows().find((row) => row.cells[0].textContent.includes("plain-20")).querySelector("input").click();
        found.tick = [$("shown").textContent, pressed()];
        $("draw-none").click();
        await drawn();
        found.none = [$("shown").textContent, ink("lines") < found.whole];
        $("draw-all").click();
        set(select("shortcut"), "A");
        set(select("depth"), "20");
        $("curve-train_error").click();
        $("log").click();
        await drawn();
        const box = $("over").getBoundingClientRect();
        const at = (x, y) => ({ clientX: box.left + x, clientY: box.top + y });
        $("over").dispatchEvent(new PointerEvent("pointermove", at(box.width - 13, 80)));
        found.mean = [$("tip").textContent, $("tip").hidden];
        found.lit = rows().filter((row) => row.classList.contains("lit")).length;
        $("over").dispatchEvent(new PointerEvent("pointerleave"));
        found.gone = $("tip").hidden;
        $("mean").click();
        await drawn();
        $("over").dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight" }));
        found.key = [$("tip").textContent, $("tip").hidden];
        say(found);
        """,
    )
    assert found["whole"] > 0
    assert found["pressed"] == 5, "one cell has not begun"
    assert found["off"] == ["18 of 18 runs shown, 11 drawn", 4]
    assert found["tick"] == ["18 of 18 runs shown, 10 drawn", 4]
    assert found["none"] == ["18 of 18 runs shown, 0 drawn", True]
    assert found["mean"] == ["res-20, mean of 3 seeds: test error 8.10 % at iteration 600", False]
    assert (found["lit"], found["gone"]) == (3, True)
    assert re.fullmatch(r"res-20, seed \d: (test|train) error \d+\.\d\d % at iteration \d+", found["key"][0])
    assert not found["key"][1]


@in_browser
@pytest.mark.parametrize("dark", [False, True])
def test_a_narrow_page_shows_the_error_and_scrolls_its_tables_alone(page, tmp_path, dark):
    found = browse(
        page,
        tmp_path,
        """
        const room = document.documentElement.clientWidth;
        const edge = (cell) => cell.getBoundingClientRect().right;
        const wide = (element) => element.getBoundingClientRect().right > room && !element.closest(".scroll");
        say({
          width: [room, document.documentElement.scrollWidth],
          beyond: [...document.querySelectorAll("main *")].filter(wide).map((one) => one.outerHTML.slice(0, 80)),
          errors: [...document.querySelectorAll("table")].map((table) => {
            const place = [...table.rows[0].cells].findIndex((cell) => cell.textContent.startsWith("test error"));
            return [place, edge(table.rows[1].cells[place])];
          }),
          page: getComputedStyle(document.body).backgroundColor,
          line: $("legend").querySelector("line").getAttribute("stroke"),
        });
        """,
        width=400,
        dark=dark,
    )
    assert found["width"][0] == found["width"][1]
    assert found["beyond"] == []
    assert [place for place, _ in found["errors"]] == [1, 2], "after the name, which is a run's cell and seed"
    assert all(edge < found["width"][0] for _, edge in found["errors"])
    assert found["page"] == ("rgb(21, 24, 28)" if dark else "rgb(255, 255, 255)")
    assert found["line"] == getattr(looks.of_net({"depth": 20}), "dark" if dark else "light")


@in_browser
def test_nothing_is_cut_on_paper(page, tmp_path):
    paper = tmp_path / "paper.html"
    paper.write_text(page.read_text().replace("@media print", "@media all").replace("launch ", f"launch {'x' * 300} "))
    found = browse(
        paper,
        tmp_path,
        """
        const room = document.documentElement.clientWidth;
        const inside = (element) => element.clientWidth && element.scrollWidth > element.clientWidth;
        const wide = (element) => element.getBoundingClientRect().right > room + 1 || inside(element);
        const all = [...document.querySelectorAll("main *:not(svg *)")];
        say(all.filter(wide).map((one) => one.outerHTML.slice(0, 80)));
        """,
        width=700,
    )
    assert found == []


@in_browser
def test_hostile_words_stay_words(page, tmp_path):
    found = browse(
        page,
        tmp_path,
        """
        $("failed").click();
        say({ note: column(11)[0], scripts: document.scripts.length });
        """,
    )
    assert found == {"note": " ".join(HOSTILE.split()), "scripts": 3}


# -- many runs


def many(lab, cells: int, seeds: int, log_every: int, figures: list[str]) -> Path:
    """The page of so many runs of 64,000 iterations, one of a hundred failed."""
    names = [f"{'plain' if i % 2 else 'res'}-{i}" for i in range(cells)]
    grid = {name: {"model.rate.lr": round(0.1 / (1 + i // 5), 5)} for i, name in enumerate(names)}
    lines = None
    for i, name in enumerate(names):
        for seed in range(seeds):
            if (i * seeds + seed) % 100 == 99:
                lab.run(name, seed).write_status(Status(state="failed", error="CUDA out of memory"))
                continue
            net = {"depth": (20, 32, 44, 56, 110)[i % 5], "shortcut": "none" if i % 2 else "A", "responses": False}
            # One curve for all: they are long, and their writing is not what is tested. So each begins with one row.
            length = {"steps": 64_000, "log_every": 64_000}
            run = lab.finish(name, seed, **net, **length, test_error=7 + i / 100 + seed / 10)
            if lines is None:
                lab.curves(run, 64_000, log_every, 90.0, 0.5, 8.0)
                rows = METRICS.read(run.path)
                for row in rows:
                    row["test_error"] = row["test_error"] if row["step"] % 400 == 0 else None
                METRICS.replace(run.path, rows)
                lines = METRICS.file(run.path).read_bytes()
            METRICS.file(run.path).write_bytes(lines)
    return write(Asked(lab.grid(grid, seeds=list(range(seeds)), report={"figures": figures}), root=lab.root)).page


def test_a_hundred_runs_are_a_small_page(lab):
    page = many(lab, cells=20, seeds=5, log_every=100, figures=["fig6"])
    size = page.stat().st_size
    print(f"\n100 runs of 640 rows: {size / 1e6:.2f} MB")
    assert size < 3e6
    assert "Every logged value is drawn." in page.read_text()


@in_browser
def test_a_thousand_runs_do_not_freeze(lab, tmp_path):
    page = many(lab, cells=200, seeds=5, log_every=800, figures=[])
    found = browse(
        page,
        tmp_path,
        """
        const times = { loaded: performance.now() };
        const timed = (name, act) => {
          const began = performance.now();
          act();
          document.body.getBoundingClientRect();
          times[name] = performance.now() - began;
        };
        const found = { all: $("shown").textContent };
        timed("sort", () => head("test error %").click());
        found.first = column(0)[0];
        timed("filter", () => set(select("seed"), "3"));
        found.seed = $("shown").textContent;
        timed("failed", () => $("failed").click());
        found.failed = $("shown").textContent;
        timed("reset", () => $("reset").click());
        $("mean").click();
        $("curve-train_error").click();
        await drawn();
        const box = $("over").getBoundingClientRect();
        const at = { clientX: box.left + 600, clientY: box.top + 200 };
        const drawing = performance.now();
        $("log").click();
        await drawn();
        times.draw = performance.now() - drawing;
        timed("hover", () => $("over").dispatchEvent(new PointerEvent("pointermove", at)));
        say({ ...found, times });
        """,
    )
    times = ", ".join(f"{name} {spent:.0f} ms" for name, spent in found["times"].items())
    assert page.stat().st_size < 5e6
    print(f"\n1,000 runs: {page.stat().st_size / 1e6:.2f} MB; {times}")
    assert found["all"] == "1000 of 1000 runs shown, 990 drawn"
    assert found["first"] == "res-0"
    assert found["seed"] == "200 of 1000 runs shown, 200 drawn"
    assert found["failed"] == "10 of 1000 runs shown, 0 drawn"
