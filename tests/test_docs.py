"""What README and the pages of docs/ tell people to type, write and look at is right."""

import argparse
import ast
import csv
import json
import re
import shlex
import tomllib
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path

import pytest
import yaml
from PIL import Image
from scipy.stats import t, ttest_ind_from_stats

from lit_resnet import cli
from lit_resnet.grid import cluster, exhibits
from lit_resnet.grid.grid import find, load, shipped
from lit_resnet.launch.plan import check
from lit_resnet.run.config import RunCLI
from lit_resnet.run.run import train
from lit_resnet.runfolder.folder import RunFolder
from lit_resnet.task import CLASSIFICATION

ROOT = Path(__file__).parent.parent
FILES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")] + sorted(ROOT.glob("docs/*.md"))
PAGES = {str(path.relative_to(ROOT)): path.read_text() for path in FILES}
FENCED = re.compile(r"^(<!-- run -->\n)?```(\w+)\n(.*?)^```", flags=re.DOTALL | re.MULTILINE)


def fenced(language: str, marked: bool = False) -> list[tuple[str, str]]:
    """(page, text) of all blocks of a language, or of those that are marked to be run."""
    found = [(page, match) for page, text in PAGES.items() for match in FENCED.finditer(text)]
    return [(page, match[3]) for page, match in found if match[2] == language and (match[1] or not marked)]


# -- commands


def commands() -> Iterator[tuple[str, list[str]]]:
    """(page, words) of every command in a block of a shell."""
    for page, text in fenced("sh"):
        for line in text.replace("\\\n", " ").splitlines():
            command: list[str] = []
            for word in [*shlex.split(line, comments=True), "&&"]:
                if word not in ("&&", "|"):
                    command.append(word)
                elif command:
                    yield page, command
                    command = []


COMMANDS = [(page, words[2:] if words[:2] == ["uv", "run"] else words) for page, words in commands()]
OURS = [
    (page, words[words.index("lit-resnet") + 1 :])
    for page, words in COMMANDS
    if words[0] == "lit-resnet" or "wandb-report" in words
]
OTHERS = [(page, words) for page, words in COMMANDS if words[0] != "lit-resnet" and "wandb-report" not in words]
LIGHTNING = [(page, words) for page, words in OURS if words[0] in cli.TRAINING and "--help" not in words]
VERBS = [(page, words) for page, words in OURS if words[0] not in cli.TRAINING]


def named(cases: list[tuple[str, list[str]]]) -> list:
    return [pytest.param(words, id=f"{page}: {' '.join(words)}") for page, words in cases]


@pytest.mark.parametrize("words", named(VERBS))
def test_its_commands_are_understood(words: list[str]):
    name, *words = words
    parser = argparse.ArgumentParser()
    import_module(f"lit_resnet.verbs.{name}").add(parser)
    args = parser.parse_intermixed_args(words)
    if getattr(args, "grid", None) not in (None, "GRID") and not args.grid.endswith(".yaml"):
        cells = load(args.grid).cells
        assert set(getattr(args, "cells", ())) <= {name for cell in cells for name in (cell.name, cell.folder)}


@pytest.mark.parametrize("words", named(LIGHTNING))
def test_its_runs_are_understood(words: list[str]):
    verb, *words = words
    if "--config" in words:
        place = words.index("--config") + 1
        name = "digits" if words[place] == "RUN/config.yaml" else words[place]
        words[place] = str(find(name, shipped() / "recipes", "config"))
    if "--ckpt_path" in words:
        assert verb != "fit"
        place = words.index("--ckpt_path")
        del words[place : place + 2]
    RunCLI([word for word in words if word != "--check"])


@pytest.mark.parametrize("words", named(OTHERS))
def test_its_other_commands_are_of_things_that_are_there(words: list[str]):
    program, *words = words
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    if program == "python" or "/" in program:
        script = ROOT / (words[0] if program == "python" else program)
        options = [word.partition("=")[0] for word in words if word.startswith("--")]
        assert script.is_file()
        assert all(f'"{option}"' in script.read_text() for option in options if option != "--set")
    elif program in ("pytest", "ruff", "pyright"):
        assert any(asked.startswith(program) for asked in groups["dev"])
        assert all((ROOT / word).exists() for word in words if word.startswith("tests"))
    elif "sphinx-build" in words or program == "--isolated":
        assert any(asked.startswith("sphinx>") for asked in groups["docs"])
        assert f"uv run {' '.join([program, *words[:-1]])}" in (ROOT / ".ci" / "run").read_text()
    else:
        assert program in ("git", "cd", "uv", "pip", "wandb", "xargs")


# -- code


@pytest.mark.parametrize(("page", "code"), fenced("python"))
def test_its_python_compiles(page: str, code: str):
    compile(code, page, "exec")


@pytest.fixture
def finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one_thread: None) -> None:
    """A working folder with a finished run of a small grid named quickstart, and a photograph."""
    monkeypatch.chdir(tmp_path)
    trainer = {"max_steps": 2, "val_check_interval": 2, "log_every_n_steps": 1, "accelerator": "cpu"}
    data = {"source": "digits", "pad": 1, "flip": False, "batch_size": 16}
    Path("base.yaml").write_text(yaml.safe_dump({"data": data, "trainer": trainer}))
    cells = {"ResNet-20": {"model.net.depth": 20}}
    Path("quickstart").write_text(yaml.safe_dump({"title": "small", "base": "base.yaml", "include": cells}))
    grid = load("quickstart")
    (cell,) = grid.cells
    assert train(RunCLI(grid.config(cell)), RunFolder(tmp_path / "runs" / "quickstart" / cell.folder))
    Image.new("RGB", (40, 30), (200, 100, 50)).save("photograph.png")


@pytest.mark.parametrize(("page", "code"), fenced("python", marked=True))
def test_its_python_runs(page: str, code: str, finished: None, capsys: pytest.CaptureFixture[str]):
    pytest.importorskip("pandas")
    exec(compile(code, page, "exec"), {})
    assert capsys.readouterr().out


def test_the_notebook_runs(finished: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    """All its cells in one namespace, as a kernel runs them, with fewer epochs."""
    pytest.importorskip("pandas")
    monkeypatch.setenv("MPLBACKEND", "agg")
    notebook = json.loads((ROOT / "docs" / "notebook.ipynb").read_text())
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    code = "\n".join(cells)
    assert "max_epochs=12" in code
    exec(compile(code.replace("max_epochs=12", "max_epochs=2"), "notebook", "exec"), {"__name__": "__main__"})
    assert "test images are wrong" in capsys.readouterr().out


def test_the_loop_is_that_which_a_test_proves_equal_to_fit():
    def body(source: str) -> list[str]:
        (loop,) = (node for node in ast.walk(ast.parse(source)) if getattr(node, "name", "") == "bare_loop")
        return [ast.dump(node) for node in loop.body[1 if ast.get_docstring(loop) else 0 :]]

    (shown,) = (code for page, code in fenced("python") if "def bare_loop" in code)
    proven = body((ROOT / "tests" / "run" / "test_run.py").read_text())
    assert body(shown) == proven
    assert len(proven) == 2


def test_its_grid_is_one(tmp_path: Path):
    path = tmp_path / "mine.yaml"
    path.write_text(next(text for page, text in fenced("yaml") if page == "docs/grids.md"))
    planned = check(load(str(path)))
    names = {p.cell.name: p.net for p in planned}
    assert names == {
        "plain-20": "plain-20",
        "plain-56": "plain-56",
        "residual-20": "ResNet-20",
        "residual-56": "ResNet-56",
        "residual-110": "ResNet-110",
        "residual-110-cold": "ResNet-110",
    }
    assert len(planned) == 5 * 5 + 1


def test_its_cluster_file_is_one(tmp_path: Path):
    path = tmp_path / "mine.yaml"
    path.write_text(next(text for page, text in fenced("yaml") if page == "docs/cluster.md"))
    asked = cluster.read(path)
    assert (asked.partition, asked.gres, asked.runs_per_gpu) == ("gpu", "gpu:a100", 4)


@pytest.mark.parametrize(("page", "text"), fenced("yaml"))
def test_its_yaml_is_a_mapping(page: str, text: str):
    assert isinstance(yaml.safe_load(text), dict)


# -- links, lists and numbers


def slugs(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub and MyST make them."""
    heads = re.findall(r"^#+ (.*)$", FENCED.sub("", text), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES)
def test_its_links_and_pictures_are_there(page: str):
    for target in re.findall(r"\]\(([^)\s]+)\)", FENCED.sub("", PAGES[page])):
        place, _, anchor = target.partition("#")
        if target.startswith("https://"):
            continue
        if place.startswith("api/"):  # made from a module's docstrings
            module = ROOT / Path(place.removeprefix("api/")).parent
            assert module.is_dir() or module.with_suffix(".py").is_file(), target
            continue
        path = (ROOT / page).parent / place if place else ROOT / page
        assert path.resolve().is_relative_to(ROOT), target
        assert path.exists(), target
        assert not anchor or anchor in slugs(path.read_text()), target


def test_readme_is_short():
    lines = PAGES["README.md"].splitlines()
    assert len(lines) <= 150
    assert max(map(len, lines)) <= 120


def test_readme_names_every_verb():
    words = {
        word for row in re.findall(r"^\| (`.*?) \|", PAGES["README.md"], re.M) for word in re.findall(r"`(\w+)", row)
    }
    assert words >= cli.VERBS.keys()


@pytest.mark.parametrize(
    "page", ["README.md", "docs/cifar.md", "docs/shortcuts.md", "docs/imagenet.md", "docs/detection.md"]
)
def test_its_grids_are_those_that_are_shipped(page: str):
    rows = re.findall(r"^\| (`.*?) \| .* \| (\d+) \|$", PAGES[page], flags=re.MULTILINE)
    named = {name: int(runs) for names, runs in rows for name in re.findall(r"`([\w-]+)`", names)}
    assert named == {name: len(load(name).cells) for name in named}
    if page == "README.md":
        assert named.keys() == {path.stem for path in shipped().glob("*.yaml")}


@pytest.mark.parametrize(("name", "entries"), [("figures", exhibits.FIGURES), ("tables", exhibits.TABLES)])
def test_its_figures_and_tables_are_those_that_a_grid_may_ask_for(name: str, entries: dict):
    listed = exhibits.markdown(entries.values())
    assert f"<!-- {name} -->\n{listed}<!-- /{name} -->" in PAGES["docs/grids.md"], f"should be:\n{listed}"


def test_its_columns_are_those_of_metrics_csv():
    columns = ", ".join(f"`{name}`" for name in ("step", *(metric.name for metric in CLASSIFICATION.metrics)))
    assert columns in " ".join(PAGES["docs/one-run.md"].split())


def test_its_zoo_is_the_one_that_comes_with_the_package(capsys):
    assert cli.main(["zoo", "--format", "md"]) == 0
    listed = capsys.readouterr().out
    assert f"<!-- zoo -->\n{listed}<!-- /zoo -->" in PAGES["docs/zoo.md"], f"should be:\n{listed}"


ERRORS = ("table.csv", "train_error"), ("table.csv", "test_error")


def errors(results: str, *asked: tuple[str, str]) -> dict[str, str]:
    """Of each cell, `error / error`: the asked columns of files in results/, with their std where there is one."""
    found: dict[str, list[str]] = {}
    for file, column in asked:
        for row in csv.DictReader((ROOT / "results" / results / file).read_text().splitlines()):
            std = row[f"{column}_std"]
            text = f"{float(row[f'{column}_mean']):.2f}" + (f"±{float(std):.2f}" if std else "")
            found.setdefault(row["cell"], []).append(text)
    return {cell: " / ".join(texts) for cell, texts in found.items()}


@pytest.mark.parametrize(
    ("page", "results", "asked"),
    [
        ("README.md", "quickstart", ERRORS),
        ("docs/quickstart.md", "quickstart", ERRORS),
        ("README.md", "cifar10-jpeg/fig6-quarter/report", ERRORS),
        ("docs/cifar.md", "cifar10-jpeg/fig6-quarter/report", ERRORS),
        ("docs/cifar.md", "cifar10-jpeg/fig6-short", ERRORS),
        ("docs/imagenet.md", "imagenette/short", [("table.csv", "train_error"), ("table2.csv", "top1_error")]),
    ],
)
def test_its_numbers_are_those_of_the_results(page: str, results: str, asked: Sequence[tuple[str, str]]):
    found = errors(results, *asked)
    depths = [cell.removeprefix("plain-") for cell in found if cell.startswith("plain-")]
    for depth in depths:
        assert f"| {depth} layers | {found[f'plain-{depth}']} | {found[f'ResNet-{depth}']} |" in PAGES[page]
    assert len(depths) >= 2


def test_its_numbers_of_shortcuts_are_those_of_the_results():
    found = errors("cifar10-jpeg/identity-mappings-short", *ERRORS)
    assert [cell for cell, text in found.items() if f" | {text} | " not in PAGES["docs/shortcuts.md"]] == []


def test_its_numbers_of_detectors_are_those_of_the_results():
    found = errors("bccd/start", ("table.csv", "map50"))
    for net in ("plain-18", "ResNet-18"):
        assert f"| {net} | {found[f'{net}-fresh']} | {found[f'{net}-started']} |" in PAGES["docs/detection.md"]


@pytest.mark.parametrize(("net", "p"), [("plain-18", 6e-5), ("ResNet-18", 9e-3)])
def test_what_start_weights_are_worth_is_welchs_test(net: str, p: float):
    found = errors("bccd/start", ("table.csv", "map50"))
    started, fresh = ([float(part) for part in found[f"{net}-{how}"].split("±")] for how in ("started", "fresh"))
    test = ttest_ind_from_stats(*started, 5, *fresh, 5, equal_var=False)
    assert test.pvalue == pytest.approx(p, rel=0.1)
    parts = [std**2 / 5 for _, std in (started, fresh)]
    half = t.ppf(0.975, sum(parts) ** 2 / sum(part**2 / 4 for part in parts)) * sum(parts) ** 0.5
    apart = started[0] - fresh[0]
    said = re.search(
        rf"^\| {net} \|.*\| \+([\d.]+) \(([\d.]+) to ([\d.]+)\) \|$", PAGES["docs/detection.md"], re.MULTILINE
    )
    assert [float(number) for number in said.groups()] == pytest.approx([apart, apart - half, apart + half], abs=0.06)


# -- recipes


def test_the_recipe_of_imagenet_is_the_papers():
    config = RunCLI(["--config", str(shipped() / "recipes" / "imagenet.yaml")]).config
    assert (config.model.rate.lr, config.model.sgd.momentum, config.model.sgd.weight_decay) == (0.1, 0.9, 1e-4)
    assert (config.model.rate.milestones, config.trainer.max_steps) == ((), 600_000)
    assert config.model.rate.plateau_patience * config.trainer.val_check_interval == 50_000
    assert (config.data.batch_size, config.data.flip, config.data.val_size) == (256, True, 0)
    sizes = config.data.photographs
    assert (tuple(sizes.short_side), sizes.crop, sizes.test_short_side, sizes.colour) == ((256, 480), 224, 256, 0.1)
    assert config.evaluate == ["center", "ten-crop", "multi-scale"]


def test_the_recipe_of_cifar10_is_the_papers():
    config = RunCLI(["--config", str(shipped() / "recipes" / "cifar10.yaml")]).config
    assert (config.model.rate.lr, config.model.sgd.momentum, config.model.sgd.weight_decay) == (0.1, 0.9, 1e-4)
    assert (config.model.rate.milestones, config.trainer.max_steps) == ((32_000, 48_000), 64_000)
    assert (config.data.batch_size, config.data.pad, config.data.flip, config.data.val_size) == (128, 4, True, 0)
