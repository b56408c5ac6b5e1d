"""Every grid and recipe that ships: they train and report; two iterations, on tiny images."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from scenes import write_coco, write_voc

from lit_resnet import report
from lit_resnet.cli import main
from lit_resnet.files import read_yaml
from lit_resnet.grid import ensembles, status
from lit_resnet.grid.asked import Asked
from lit_resnet.grid.grid import load, shipped
from lit_resnet.grid.start import StartCell
from lit_resnet.launch.plan import check
from lit_resnet.nets.resnet import WIDTHS
from lit_resnet.probes.complexity import Complexity
from lit_resnet.run.config import RunCLI
from lit_resnet.run.evaluate import ensemble_of
from lit_resnet.run.run import train
from lit_resnet.runfolder.folder import RunFolder

# What each recipe trains where nobody says which net.
RECIPES = {
    "cifar10": "ResNet-20",
    "cifar10-short": "ResNet-20",
    "cifar10-quarter": "ResNet-20",
    "digits": "ResNet-20",
    "identity-mappings": "ResNet-110",
    "identity-mappings-short": "ResNet-32",
    "imagenet": "ResNet-50",
    "imagenet-90-epochs": "ResNet-50",
    "imagenette": "ResNet-18 A",
    "imagenette-short": "ResNet-18 A",
    "imagenette-start": "ResNet-18 A",
    "voc": "ResNet-101",
    "coco": "ResNet-101",
    "bccd": "ResNet-18 A",
}
GRIDS = sorted(path.stem for path in shipped().glob("*.yaml"))
SMALL = {"source": "folder", "image_size": 8, "pad": 1, "batch_size": 4}
PHOTOGRAPHS = {
    "source": "imagenet",
    "batch_size": 4,
    "photographs": {"short_side": [36, 40], "crop": 32, "test_short_side": 36, "workers": 0},
}
BOXES = {"short_side": 48, "long_side": 64, "batch_size": 1, "workers": 0}
DETECTOR = {"anchors": [8, 16], "regions": 4, "proposals": [20, 4], "least_side": 2, "background": 0.0}
# Of these the nets and recipes are in other grids, which are trained, or in tests/nets and tests/run; their tables are
# made in tests/report.
LIKE_OTHERS = {
    *(f"identity-mappings-table{i}" for i in (1, 2, 3)),
    *(
        "identity-mappings-orders-short",
        "highway",
        "fig1",
        "fig4",
        "fig6",
        "fig6-short",
        "fig6-quarter",
        "longer",
        "momentum",
        "precision",
        "table3",
    ),
    *("bottleneck-plain", "imagenette", "imagenette-start"),
}
DEEP = (101, 110, 152, 164, 1001, 1202)
TINY = {
    "trainer": {"max_steps": 2, "val_check_interval": 2, "log_every_n_steps": 1, "accelerator": "cpu"},
}


@pytest.fixture(scope="module")
def trained() -> dict[str, RunFolder]:
    """The runs that one grid has trained, by their config: other grids have cells like them."""
    return {}


@pytest.fixture(scope="module")
def photographs(tmp_path_factory) -> str:
    """Six classes, two images to train on and one to test on of each."""
    root = tmp_path_factory.mktemp("photographs")
    noise = np.random.default_rng(0)
    for split, count in (("train", 2), ("val", 1)):
        for name in range(6):
            folder = root / split / f"n{name:08}"
            folder.mkdir(parents=True)
            for i in range(count):
                Image.fromarray(noise.integers(0, 256, (40, 48, 3), dtype=np.uint8)).save(folder / f"{i}.JPEG")
    return str(root)


@pytest.fixture(scope="module")
def boxes(tmp_path_factory) -> str:
    """Images with boxes, in one folder: VOC's two years, the same layout without years, and COCO."""
    root = tmp_path_factory.mktemp("boxes")
    write_voc(root / "VOC2007", ["trainval", "test"], classes=("cat", "dog"))
    write_voc(root / "VOC2012", ["trainval", "test?"], prefix="2012_", classes=("cat", "dog"))
    write_voc(root, ["trainval", "test"])
    write_coco(root, ["train2014", "val2014"])
    return str(root)


def tiny(said: dict, photographs: str, boxes: str) -> dict:
    """The data of a recipe on tiny images."""
    if said["source"] in ("voc", "coco"):
        return {**said, **BOXES, "root": boxes}
    return (PHOTOGRAPHS if said["source"] == "imagenet" else SMALL) | {"root": photographs}


@pytest.fixture
def uncounted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every net has 2 weights and 10 multiply-adds: nets are counted in tests/probes."""
    monkeypatch.setattr("lit_resnet.probes.complexity.complexity", lambda *_: Complexity(2, 10))
    monkeypatch.setattr("lit_resnet.run.run.complexity", lambda *_: Complexity(2, 10))
    monkeypatch.setattr("lit_resnet.training.detector.complexity", lambda *_, **__: Complexity(2, 10))


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """ImageNet nets of few filters, which train and are saved in a fraction of the time."""
    monkeypatch.setitem(WIDTHS, "imagenet", (16, 16, 16, 16))
    monkeypatch.setattr("lit_resnet.nets.vgg.WIDTHS", (4, 4, 4, 4, 4))
    monkeypatch.setattr("lit_resnet.nets.vgg.HIDDEN", 8)
    monkeypatch.setattr("lit_resnet.training.detector.TAKEN_IMAGES", 4)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", [name for name in GRIDS if name not in LIKE_OTHERS])
def test_every_cell_trains_and_the_grid_reports(
    name: str,
    tmp_path: Path,
    trained: dict[str, RunFolder],
    photographs: str,
    boxes: str,
    uncounted,
    narrow,
    monkeypatch,
):
    # Figures are drawn; tests/report looks at their files, in both formats.
    monkeypatch.setattr("lit_resnet.report.figures.drawing.render", lambda drawing, format: b"<svg></svg>")
    grid = load(name)
    # One seed, the base on tiny data for two iterations, and without the deepest nets (tests/nets trains 1202 layers):
    # a grid that has no others has nets of 20 layers in their place.
    usual = grid.base["model"]["net"].get("depth")
    depths = {cell.name: cell.overrides.get("model.net.depth", usual) for cell in reversed(grid.cells)}
    shallow = {cell for cell, depth in depths.items() if depth not in DEEP}
    kept = shallow or {cell for cell, depth in depths.items() if depth in (110, 164)}
    first = {cell.name: cell for cell in reversed(grid.cells) if cell.name in kept}
    cells = []
    for cell in reversed(first.values()):
        overrides = {k: v for k, v in cell.overrides.items() if k not in ("trainer.max_steps", "data.source")}
        if not shallow:
            overrides["model.net.depth"] = 20
        if "model.signals_every" in overrides:
            overrides["model.signals_every"] = 1
        if overrides.pop("model.start", None) and overrides.get("model.net.family") != "vgg":
            overrides["model.bn"] = "taken"
        cells.append(replace(cell, overrides=overrides))
    base = {**grid.base, **TINY, "data": tiny(grid.base["data"], photographs, boxes)}
    base["model"] = {key: 1 if key == "signals_every" else value for key, value in grid.base["model"].items()}
    if "detector" in base["model"]:
        base["model"]["detector"] = DETECTOR
    names = {cell.name for cell in cells}
    together = tuple(replace(one, cells=tuple(c for c in one.cells if c in names)) for one in grid.ensembles)
    grid = replace(grid, base=base, cells=tuple(cells), ensembles=together)
    assert [planned.max_steps for planned in check(grid)] == [2] * len(cells)
    for cell in cells:
        run = status.folder(grid, cell, tmp_path)
        key = yaml.safe_dump(grid.config(cell))
        if key in trained:
            shutil.copytree(trained[key].path, run.path, copy_function=os.link)
        else:
            assert train(RunCLI(grid.config(cell)), run)
            trained[key] = run
        assert run.summary().steps == 2
        assert set(run.evaluations(grid.task)) == set(grid.config(cell).get("evaluate", []))
    for ensemble in ensembles.ready(grid, tmp_path):
        ensembles.keep(
            grid, ensemble, tmp_path, ensemble_of(ensembles.members(grid, ensemble, tmp_path), ensemble.protocol)
        )
    assert not ensembles.ready(grid, tmp_path)
    written = _report(grid, tmp_path)
    assert not written.not_drawn
    assert len(written.table.rows) == len(cells)
    for name in grid.tables:
        columns = ("top1_error_mean", "top1_error", "map50_mean", "test_error_median", "test_error_mean")
        assert any(record.get(column) is not None for record in written.tables[name].records for column in columns)


def _report(grid, root: Path) -> report.Report:
    """The report of the changed grid, from a file of its own."""
    folder = root / "grids"
    folder.mkdir()
    (folder / "base.yaml").write_text(yaml.safe_dump(grid.base))
    content = {
        "title": grid.title,
        "base": "base.yaml",
        "include": {cell.name: cell.overrides | {"seeds": [cell.seed]} for cell in grid.cells},
        "report": {
            "figures": grid.figures and list(grid.figures),
            "tables": list(grid.tables),
            "ensembles": {one.name: {"cells": list(one.cells), "protocol": one.protocol} for one in grid.ensembles},
        },
    }
    (folder / f"{grid.name}.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    return report.write(Asked(str(folder / f"{grid.name}.yaml"), root=root))


def test_each_recipe_is_known():
    assert set(RECIPES) == {path.stem for path in (shipped() / "recipes").glob("*.yaml")}


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_alone_trains_the_net_of_its_name(
    name: str, tmp_path: Path, photographs: str, boxes: str, uncounted, narrow
):
    recipe = read_yaml(shipped() / "recipes" / f"{name}.yaml")
    content: dict = {**TINY, "data": tiny(recipe["data"], photographs, boxes)}
    if "detector" in recipe["model"]:  # without weights to start from
        content["model"] = {"bn": "taken", "detector": DETECTOR}
        content["trainer"] = TINY["trainer"] | {"devices": 1, "strategy": "auto"}
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(content))
    run = RunFolder(tmp_path / "run")
    configs = ["--config", name, "--config", str(tmp_path / "tiny.yaml")]
    assert main(["fit", *configs, "--trainer.default_root_dir", str(run.path)]) == 0
    assert (run.summary().net, run.summary().steps) == (RECIPES[name], 2)


@pytest.mark.parametrize("name", ["table2", "fig4", "imagenette", "imagenette-short"])
def test_the_nets_of_18_and_34_layers(name: str):
    """Their cells keep the names that results/ and other grids know, and the configs of table3."""
    cells = {cell.name: load(name).config(cell)["model"]["net"] for cell in load(name).cells}
    assert list(cells) == ["plain-18", "plain-34", "ResNet-18", "ResNet-34"]
    grid = load("table3")
    by_name = {cell.name: grid.config(cell)["model"]["net"] for cell in grid.cells}
    assert all(cells[name] == by_name[name] for name in ("plain-34", "ResNet-34"))


@pytest.mark.parametrize("name", GRIDS)
def test_it_is_right_as_it_ships(name: str, photographs: str, boxes: str, uncounted):
    root = {"imagenet": photographs, "voc": boxes, "coco": boxes}.get(load(name).base["data"]["source"])
    grid = load(name, [f"data.root={root}"] if root else [])
    assert len(check(grid)) == len(grid.cells)


def test_cells_start_from_nets_of_their_own_kind():
    started = 0
    for grid in map(load, GRIDS):
        for cell in grid.cells:
            if isinstance(start := grid.start(cell), StartCell):
                other = load(start.grid)
                source = next(one for one in other.cells if one.name == start.cell)
                nets = [config["model"]["net"] for config in (grid.config(cell), other.config(source))]
                ours, theirs = ([net.get(key) for key in ("family", "depth", "shortcut")] for net in nets)
                assert ours == theirs, f"{grid.name}, {cell.name}"
                started += 1
    assert started >= 24


def test_a_plan_counts_the_arithmetic_of_a_training(uncounted):
    """Forward once and backward twice that; 1202 layers compute their activations once more."""
    planned = {p.net_config["depth"]: p.training_macs for p in check(load("table6"))}
    step = 10 * 128 * 64_000
    assert planned == {20: 3 * step, 32: 3 * step, 44: 3 * step, 56: 3 * step, 110: 3 * step, 1202: 4 * step}


def test_the_papers_grids_are_there():
    assert {"table2", "fig4", "table3", "table4", "table5", "bottleneck-plain", "imagenette"} <= set(GRIDS)
    six = load("table5")
    assert sorted(cell.overrides["model.net.depth"] for cell in six.cells) == [34, 34, 50, 101, 152, 152]
    assert set(six.ensembles[0].cells) == {cell.name for cell in six.cells}
    assert {"fig1", "fig6", "table6", "fig7", "warmup", "longer", "single-layer", "options", "gradients"} <= set(GRIDS)
    five = [cell.seed for cell in load("table6").cells if cell.overrides["model.net.depth"] == 110]
    assert five == [0, 1, 2, 3, 4]
    for cell in load("fig6").cells:
        config = RunCLI(load("fig6").config(cell)).config
        deep = config.model.net.depth >= 110
        assert config.model.rate.warmup_lr == (0.01 if deep else None)
        assert (config.model.rate.warmup_error, config.trainer.max_steps) == (80, 64_000)
