"""The whole report: its files, its page, and what it must not import."""

import csv
import gzip
import io
import re
import subprocess
import sys
from html.parser import HTMLParser
from urllib.parse import unquote

import pytest
from lab import METRICS

from lit_resnet.cli import main
from lit_resnet.errors import InputError
from lit_resnet.grid.asked import Asked
from lit_resnet.report import write
from lit_resnet.runfolder.status import Status

HOSTILE = "<script>alert('1')</script> & \"two\" {{ 7 * 7 }} </title>"


@pytest.fixture(scope="module")
def shared(new_lab):
    return new_lab()


@pytest.fixture(scope="module")
def grid(shared):
    """Three seeds, one of them failed, one under way; the plain net has no layer responses in one seed."""
    path = shared.grid(
        ["plain-20", "res-20", "res-56"], seeds=[0, 1, 2], title=HOSTILE, report={"figures": ["fig1", "fig6", "fig7"]}
    )
    for seed in range(3):
        shared.finish(
            "plain-20",
            seed,
            shortcut="none",
            train_error=0.2,
            test_error=12.0,
            responses=seed > 0,
            net="<b onclick=x>plain</b>",
        )
        shared.finish("res-20", seed, test_error=8.0 + seed / 10)
    shared.finish("res-56", 0, depth=56, test_error=7.0, train_error=5.0)
    shared.run("res-56", 1).write_status(Status(state="failed", error="CUDA out of memory"))
    shared.curves(shared.run("res-56", 2), 600, 25, 90.0, 0.5, 8.0)
    return path


@pytest.fixture(scope="module")
def report(shared, grid):
    return write(Asked(grid, root=shared.root))


class Page(HTMLParser):
    """Tags, ids, what the page loads or links to, and whether its tags are balanced."""

    VOID = frozenset({"meta", "link", "br", "img", "input", "hr", "use", "path", "rect", "wbr"})

    def __init__(self, text):
        super().__init__()
        self.tags, self.ids, self.loads, self.links, self.open = [], [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        attributes = dict(attributes)
        if "id" in attributes:
            self.ids.append(attributes["id"])
        for name, value in attributes.items():
            if name in ("src", "srcset", "data", "poster", "background") or (tag == "link" and name == "href"):
                self.loads.append(value)
            if name in ("href", "xlink:href"):
                self.links.append(value)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag


def test_all_files_are_written_and_no_other(shared, report):
    names = {str(file.relative_to(shared.root / "tiny" / "report")) for file in report.files}
    figures = {f"figures/fig{n}.{form}" for n in (1, 6, 7) for form in ("png", "svg")}
    texts = {"index.html", "table.csv", "table.md", "table.tex", "claims.csv", "claims.md", "curves.csv.gz"}
    assert names == texts | figures
    assert {file for file in report.folder.rglob("*") if file.is_file()} == set(report.files)
    assert all(file.stat().st_size > 200 for file in report.files)
    assert report.page == report.folder / "index.html"
    assert report.progress == "7 of 9 runs finished (1 failed, 1 queued)"
    assert (report.folder / "table.csv").read_text() == report.table.csv()
    assert (report.folder / "claims.csv").read_text() == report.claims.csv()
    assert (report.folder / "claims.md").read_text() == report.claims.markdown()


def test_the_page_stands_alone_and_is_sound(report):
    text = report.page.read_text()
    page = Page(text)
    assert page.open == []
    assert page.loads == []
    assert page.tags.count("script") == 2  # the data and what shows them; neither loads anything
    assert "@import" not in text
    assert re.findall(r"url\((?!#)", text) == []
    assert len(page.ids) == len(set(page.ids))
    assert page.tags.count("svg") == 3
    for link in page.links:
        if link.startswith("#"):
            assert link[1:] in page.ids
        else:
            assert link.startswith("data:")
    downloads = [unquote(link).partition(",")[2] for link in page.links if link.startswith("data:")]
    assert downloads == [(report.folder / f"table.{form}").read_text() for form in ("csv", "md", "tex")]
    for reference in re.findall(r"url\(#([^)]+)\)", text):
        assert reference in page.ids


@pytest.fixture(scope="module")
def of_photographs(new_lab):
    """Table 2 and an ensemble; one run is not finished."""
    lab = new_lab()
    finished = {"plain-18": (18, "none"), "ResNet-18": (18, "A"), "ResNet-34": (34, "A")}
    cells = {cell: {"data.source": "imagenet", "model.net.family": "imagenet"} for cell in (*finished, "waiting")}
    for cell, (depth, shortcut) in finished.items():
        lab.photographs(cell, depth=depth, shortcut=shortcut, ten_crop=(27.5, 9.25))
    wanted = {
        "tables": ["table2", "table5"],
        "figures": ["fig4"],
        "ensembles": {"both": {"cells": ["ResNet-18", "ResNet-34"], "protocol": "multi-scale"}},
    }
    path = lab.grid(cells, report=wanted)
    lab.ensemble("both", ["ResNet-18-seed0", "ResNet-34-seed0"])
    return write(Asked(path, root=lab.root))


def test_the_papers_tables_are_files_and_on_the_page(of_photographs):
    assert list(of_photographs.tables) == ["table2", "table5", "table"]
    for name, table in of_photographs.tables.items():
        for form, text in table.files().items():
            assert (of_photographs.folder / f"{name}.{form}").read_text() == text
    text = of_photographs.page.read_text()
    page = Page(text)
    assert page.open == []
    downloads = [unquote(link).partition(",")[2] for link in page.links if link.startswith("data:")]
    assert downloads == [text for table in of_photographs.tables.values() for text in table.files().values()]
    heads = [text.index(words) for words in ("<h2>Results", "Table 2: ", "Table 5: ", "<h3>All nets", "<h2>Figures")]
    assert heads == sorted(heads)
    assert re.search(r"18 layers</td>\s*<td>27.50</td>\s*<td>27.94</td>\s*<td>27.50</td>\s*<td>27.88</td>", text)
    assert re.search(r"ResNet \(ILSVRC&#39;15\)</td>\s*<td>2</td>\s*<td>4.31</td>\s*<td>3.57</td>", text)


def test_the_list_of_runs_has_the_errors_that_there_are(of_photographs):
    text = of_photographs.page.read_text()
    heads = re.findall(r'<th scope="col">([^<]+)</th>', text[text.index("<h2>Runs") :])
    errors = ["train error %", "validation error %", "ten-crop top-1 %", "ten-crop top-5 %"]
    rest = ["best validation error %", "wall time", "images/s"]
    assert heads == ["seed", errors.pop(1), "iterations", *errors, *rest]
    assert re.search(r"ResNet-34</td><td>0</td><td>30.00</td>.*<td>34.00</td><td>27.50</td><td>9.25</td>", text)
    assert re.search(r'waiting</td><td>0</td><td>–</td><td class="word">queued</td>(<td>–</td>){7}', text)


def test_what_comes_from_files_is_escaped(report):
    text = report.page.read_text()
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt; &amp; &#34;two&#34; {{ 7 * 7 }}" in text
    assert "<b onclick" not in text
    assert "&lt;b onclick=x&gt;plain&lt;/b&gt;" in text


def test_the_page_shows_our_number_beside_the_papers_and_every_run(report):
    text = report.page.read_text()
    assert re.search(r"<td>8\.10±0\.10</td>\s*<td>8\.75</td>", text)
    assert "7 of 9 runs finished (1 failed, 1 queued)" in text
    assert re.search(r"<td class=\"word\">res-56</td><td>1</td><td>–</td><td class=\"word\">failed</td>", text)
    assert "3 min" in text
    assert "lit-resnet launch" in text


def test_the_page_begins_with_the_papers_sentences(report):
    text = report.page.read_text()
    first = report.claims.found[0].sentence
    assert text.index("Deep Residual Learning") < text.index(first) < text.index("<h2>Results")
    assert {claim.verdict for claim in report.claims.found} == {"holds", "does not hold", "not enough runs"}
    for claim in report.claims.found:  # a word, and a colour
        assert re.search(rf'<span class="verdict {claim.verdict.replace(" ", "-")}">{claim.verdict}</span>', text)
        assert f".{claim.verdict.replace(' ', '-')} {{ color" in text
    assert report.claims.counted() in text
    assert "Cochran" in text


def test_a_page_without_sentences_says_nothing_of_them(lab):
    lab.finish("res-20")
    text = write(Asked(lab.grid(["res-20"]), root=lab.root)).page.read_text()
    assert "Deep Residual Learning" not in text
    assert "Cochran" not in text


def test_a_grid_that_is_not_about_the_paper_has_no_claims_and_old_files_go(lab):
    nets = {"plain": {"model.net.shortcut": "none"}, "res": {"model.net.shortcut": "A"}}
    for seed in range(3):
        lab.finish("plain", seed, shortcut="none", train_error=5 + seed / 10)
        lab.finish("res", seed)
    figures = {"seeds": [0, 1, 2], "report": {"figures": ["fig6"]}}
    about = write(Asked(lab.grid(nets, **figures), root=lab.root))
    assert about.claims.found
    assert {"claims.csv", "claims.md"} < {file.name for file in about.files}
    (about.folder / "mine.txt").write_text("of the user")
    nets["res"] |= {"model.rate.lr": 0.5}
    other = write(Asked(lab.grid(nets, seeds=[0, 1, 2]), root=lab.root))
    assert other.claims.found == ()
    left = {file for file in other.folder.rglob("*") if file.is_file()}
    assert left == {*other.files, other.folder / "mine.txt"}
    assert {file.stem for file in (other.folder / "figures").iterdir()} == {"curves"}
    assert "Deep Residual Learning" not in other.page.read_text()
    nets["res"] = {"model.net.shortcut": "A", "model.rate.warmup_lr": 0.01, "trainer.max_steps": 600}
    for seed in range(3):
        lab.finish("res", seed, warmup_lr=0.01)
    assert write(Asked(lab.grid(nets, **figures), root=lab.root)).claims.found, "the paper varies these itself"


def test_a_long_table_is_printed_in_part(lab, monkeypatch, capsys):
    monkeypatch.setattr("lit_resnet.verbs.terminal.MOST_LINES", 1)
    lab.finish("first", net="first")
    lab.finish("second", net="second")
    report = {"figures": []}
    assert main(["report", lab.grid(["first", "second"], report=report), "--root", str(lab.root)]) == 0
    out, err = capsys.readouterr()
    assert ("first" in out, "second" in out) == (True, False)
    assert f"1 of 2 rows are shown; all of them: {lab.root}/tiny/report/table.csv" in err


def test_every_curve_is_in_one_file(shared, report):
    content = (report.folder / "curves.csv.gz").read_bytes()
    assert content[4:8] == bytes(4)  # no time of writing
    rows = list(csv.DictReader(io.StringIO(gzip.decompress(content).decode())))
    assert list(rows[0]) == ["cell", "seed", *METRICS.columns]
    runs = [("plain-20", "0"), ("plain-20", "1"), ("plain-20", "2"), ("res-20", "0"), ("res-20", "1"), ("res-20", "2")]
    assert list(dict.fromkeys((row["cell"], row["seed"]) for row in rows)) == [*runs, ("res-56", "0")]
    mine = [row for row in rows if (row["cell"], row["seed"]) == ("res-20", "1")]
    logged = METRICS.read(shared.run("res-20", 1).path)
    assert [{key: float(row[key]) if row[key] else None for key in METRICS.columns} for row in mine] == logged


def test_a_second_report_is_the_same(shared, grid, report):
    before = {file: file.read_bytes() for file in report.files}
    write(Asked(grid, root=shared.root))
    assert {file: file.read_bytes() for file in report.files} == before


def test_nothing_finished_writes_nothing(lab):
    grid = lab.grid(["residual"])
    with pytest.raises(InputError, match="no finished runs of tiny"):
        write(Asked(grid, root=lab.root))
    assert not lab.root.exists()


def test_reports_need_no_network_library(lab):
    lab.finish("res-20")
    grid = lab.grid(["res-20"], report={"figures": ["fig6"]})
    code = (
        "import sys; from pathlib import Path; from lit_resnet import paper; paper.load()\n"
        "assert not {'pandas', 'matplotlib', 'jinja2', 'numpy'} & set(sys.modules), 'paper is to cost yaml alone'\n"
        "from lit_resnet.grid.asked import Asked; from lit_resnet.report import write\n"
        "write(Asked(sys.argv[1], root=Path(sys.argv[2])))\n"
        "assert 'matplotlib' in sys.modules\n"
        "print(sorted({'torch', 'torchvision', 'lightning', 'wandb'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, grid, str(lab.root)], capture_output=True, text=True, check=False
    )
    assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr
