"""Plans: a cell's config is put together from values parsed before, and is what the parser makes of the whole."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from lab import make_summary

from lit_resnet.errors import InputError
from lit_resnet.grid import status
from lit_resnet.grid.grid import Grid, load, shipped
from lit_resnet.launch import plan
from lit_resnet.run.config import RunCLI
from lit_resnet.runfolder.status import Status

BASE = {
    "data": {"source": "digits", "flip": False, "batch_size": 64},
    "model": {"net": {"depth": 8}, "rate": {"lr": 0.2}},
    "trainer": {"max_steps": 4, "val_check_interval": 2, "log_every_n_steps": 2, "accelerator": "cpu"},
}
CSV = "lightning.pytorch.loggers.CSVLogger"
SUMMARY = make_summary(
    net="ResNet-8", depth=8, data="digits", params=1, macs=1, batch_size=64, steps=4, wall_seconds=12.0
)


def write(folder: Path, settings: tuple[str, ...] = (), base: dict[str, Any] = BASE, **content: Any) -> Grid:
    (folder / "base.yaml").write_text(yaml.safe_dump(base))
    (folder / "mine.yaml").write_text(yaml.safe_dump({"base": "base.yaml", **content}, sort_keys=False))
    return load(str(folder / "mine.yaml"), settings)


def assert_as_parsed(grid: Grid) -> None:
    """Each cell's config is that of a parser which reads all of it."""
    configs, whole = plan.Configs(grid, RunCLI({"task": grid.task.name})), RunCLI({"task": grid.task.name})
    for cell in grid.cells:
        whole.read(grid.config(cell))
        assert configs.read(cell).config.as_dict() == whole.config.as_dict(), cell.folder


@pytest.mark.parametrize("name", sorted(path.stem for path in shipped().glob("*.yaml")))
def test_shipped_grids_are_read_as_the_parser_reads_them(name: str):
    assert_as_parsed(load(name))


def test_evaluations_take_their_share_of_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """500 digits and 100 held-out ones twice in 4 iterations of 64: 1,200 forward passes beside 256 times three."""
    base = BASE | {"data": BASE["data"] | {"val_size": 100}}
    grid = write(tmp_path, base=base, include={"one": {}})
    (planned,) = plan.check(grid)
    assert (planned.tested, planned.trained_macs) == (1200, planned.macs)
    assert planned.with_tests == pytest.approx(1 + 1200 / (3 * 256))
    monkeypatch.setattr(plan, "_time_step", lambda grid, planned: 2.0)
    (row,) = plan.rows(grid, tmp_path / "runs")
    assert row["seconds"] == pytest.approx(4 * 2 * planned.with_tests, abs=0.1)


OVERRIDES = [
    {"model.rate.warmup_lr": None},
    {"model.rate.warmup_lr": 0.01},
    {"model.rate.lr": 1, "model.net.depth": 20},
    {"model.rate.lr": "1e-3"},
    {"model.rate.lr": True},
    {"model.net.depth": 14.0},
    {"model.rate.milestones": [1, 2]},
    {"model.rate.milestones": []},
    {"evaluate": ["center"]},
    {"trainer.devices": 2},
    {"trainer.devices": "2"},
    {"trainer.precision": "bf16-mixed"},
    {"trainer.precision": 32},
    {"data.photographs.short_side": [36, 40]},
    {"trainer.logger": {"class_path": CSV, "init_args": {"save_dir": "here"}}},
    {"trainer.logger": {"class_path": CSV, "init_args": {"save_dir": "there"}}, "model.rate.lr": 0.3},
    {"trainer.logger": "CSVLogger"},
    {"trainer.logger": None},
    {"trainer.callbacks": [{"class_path": "LearningRateMonitor"}]},
    {"trainer.logger.init_args.name": "mine"},
    {"trainer.logger": {"class_path": CSV, "init_args": {"save_dir": "x"}}, "trainer.logger.init_args.name": "a"},
    {"trainer.logger.init_args.save_dir": "y"},
    {},
]


@pytest.mark.parametrize("logger", [None, {"class_path": CSV, "init_args": {"save_dir": "base", "version": "v1"}}])
def test_a_cell_is_read_as_the_parser_reads_it(tmp_path: Path, logger: dict | None):
    base = {**BASE, "trainer": {**BASE["trainer"], "logger": logger}}
    first, whole = RunCLI({}), []
    for overrides in OVERRIDES:
        grid = write(tmp_path, base=base, include={"only": overrides})
        try:
            first.read(grid.config(grid.cells[0]))
            whole.append(overrides)
        except InputError:
            continue
    assert len(whole) > len(OVERRIDES) - 6
    for settings in ((), ("data.root=/elsewhere", "model.sgd.momentum=0.5", "trainer.strategy=ddp")):
        assert_as_parsed(
            write(tmp_path, settings, base, include={f"c{i}": o for i, o in enumerate(whole)}, seeds=[0, 3])
        )


@pytest.mark.parametrize(
    "wrong",
    [
        {"model.net.dpeth": 20},
        {"modle.lr": 1},
        {"model.net": None},
        {"model.net": 3},
        {"model.net.depth": 21},
        {"model.net.depth": "deep"},
        {"model.net.depth": None},
        {"model.net.shortcut": "D"},
        {"model.rate.lr": -0.1},
        {"model.rate.lr": "x"},
        {"model.rate.lr": [0.1]},
        {"model.rate.lr": None},
        {"data.photographs.crop": None},
        {"model.rate.milestones": [20, 10]},
        {"model.rate.milestones": ["x"]},
        {"evaluate": ["ten-crops"]},
        {"trainer.max_steps": 0},
        {"trainer.max_steps": "many"},
        {"trainer.precision": "64-true"},
        {"trainer.gradient_clip_val": 1.0},
        {"trainer.logger": "NoLogger"},
        {"trainer.logger": {"class_path": CSV, "init_args": {"nmae": "a"}}},
        {"trainer.devices": -1},
        {"trainer.devices": [0, 1]},
        {"trainer.num_nodes": 0},
        {"trainer.devices": 0, "trainer.num_nodes": 2},
        {"trainer.devices": 3},
        {"trainer.devices": 2, "trainer.num_nodes": 16, "model.bn_group": 4},
        {"model.bn_group": 48},
        {"data.source": "cifar"},
        {"data.source": "folder", "data.root": "/nowhere"},
    ],
)
def test_the_first_wrong_cell_is_told_in_the_parsers_words(tmp_path: Path, wrong: dict[str, Any]):
    cells = {"right": {"model.net.depth": 14}, "wrong": wrong, "also": wrong}
    grid = write(tmp_path, include=cells)
    with pytest.raises(InputError) as told:
        RunCLI(grid.config(grid.cells[1])).check()
    with pytest.raises(InputError) as planned:
        plan.check(grid)
    assert str(planned.value) == f"mine, cell wrong: {told.value}"
    assert "\n" not in str(planned.value)


def test_a_wrong_base_may_be_mended_by_every_cell(tmp_path: Path):
    base = {**BASE, "model": {"net": {"depth": "deep"}}}
    assert [p.net for p in plan.check(write(tmp_path, base=base, matrix={"model.net.depth": [8, 14]}))] == [
        "ResNet-8",
        "ResNet-14",
    ]
    with pytest.raises(InputError, match="cell a: model.net.depth: deep is not a whole number"):
        plan.check(write(tmp_path, base=base, include={"a": {"model.rate.lr": 1}}))


def test_no_more_is_parsed_than_the_base_and_each_value(tmp_path: Path, monkeypatch):
    cli, parsed = RunCLI({}), []
    parse = cli.parser.parse_object
    monkeypatch.setattr(cli.parser, "parse_object", lambda *args, **more: parsed.append(more) or parse(*args, **more))
    matrix = {
        "model.net.depth": [8, 14, 20],
        "model.rate.lr": [0.1, 0.2, 0.3, 0.4],
        "model.rate.milestones": {"a": [1], "b": []},
    }
    grid = write(tmp_path, matrix=matrix, seeds=[0, 1, 2])
    configs = plan.Configs(grid, cli)
    for cell in grid.cells:
        configs.read(cell)
    assert len(grid.cells) == 72
    assert len(parsed) == 1 + 3 + 4 + 2
    assert [more for more in parsed if more != {"defaults": False}] == [{}]


def test_seeds_are_checked_once_and_differ_in_nothing_else(tmp_path: Path, monkeypatch):
    checked = []
    check = RunCLI.check
    monkeypatch.setattr(RunCLI, "check", lambda cli: checked.append(cli.config.seed_everything) or check(cli))
    planned = plan.check(write(tmp_path, matrix={"model.net.depth": [8, 14]}, seeds=[3, 1]))
    assert [(p.cell.folder, p.net) for p in planned] == [
        ("8-seed3", "ResNet-8"),
        ("8-seed1", "ResNet-8"),
        ("14-seed3", "ResNet-14"),
        ("14-seed1", "ResNet-14"),
    ]
    assert checked == [3, 3]


def test_what_a_cell_asks_for(tmp_path: Path):
    cells = {
        "one": {},
        "auto": {"trainer.devices": "auto", "trainer.accelerator": "auto"},
        "many": {"trainer.devices": "4", "trainer.num_nodes": 2, "trainer.accelerator": "gpu", "model.bn_group": 8},
    }
    planned = plan.check(write(tmp_path, include=cells))
    assert [(p.devices, p.num_nodes, p.gpu) for p in planned] == [(1, 1, False), (1, 1, True), (4, 2, True)]
    cells["many"]["model.bn_group"] = 16
    with pytest.raises(InputError, match=r"16: write a divisor of a device's part of data.batch_size \(8\), or null"):
        plan.check(write(tmp_path, include=cells))
    cells["many"]["data.batch_size"] = 60
    with pytest.raises(InputError, match="batch_size is 60: write a multiple of the devices, of which there are 8"):
        plan.check(write(tmp_path, include=cells))


def test_rows_have_the_state_the_time_and_the_memory_of_what_was_run(tmp_path: Path):
    grid, root = write(tmp_path, matrix={"model.net.depth": [8, 14]}, seeds=[0, 1]), tmp_path / "runs"
    done = status.folder(grid, grid.cells[0], root)
    done.path.mkdir(parents=True)
    done.cell_file.write_text(yaml.safe_dump(grid.config(grid.cells[0])))
    done.write_status(Status("done", 4, 4, attempts=1, peak_memory_bytes=3 * 2**30))
    done.write_summary(SUMMARY)
    rows = plan.rows(grid, root)
    assert [(row["state"], row["memory"]) for row in rows] == [
        ("done", 3 * 2**30),
        ("queued", 3 * 2**30),
        ("queued", None),
        ("queued", None),
    ]
    assert [plan.COLUMNS["memory"](row) for row in rows] == ["3.0 GiB", "3.0 GiB", "–", "–"]
    assert rows[0]["seconds"] == rows[1]["seconds"] == 12
    assert rows[2]["seconds"] == pytest.approx(12 * rows[2]["macs"] / rows[0]["macs"], abs=0.1)


def test_a_run_that_another_grid_has_finished_counts_as_done(tmp_path: Path):
    grid, root = write(tmp_path, matrix={"model.net.depth": [8, 14]}), tmp_path / "runs"
    other = status.folder(grid, grid.cells[1], root / "others")
    other.path.mkdir(parents=True)
    other.path.parent.rename(root / "another")
    run = status.RunFolder(root / "another" / other.path.name)
    run.cell_file.write_text(yaml.safe_dump(grid.config(grid.cells[1])))
    run.write_summary(replace(SUMMARY, net_config={"depth": 14}))
    assert [row["state"] for row in plan.rows(grid, root)] == ["queued", "done"]
    assert not (root / grid.name).exists()
