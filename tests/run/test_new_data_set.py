"""A data set is added as the docs say: a function that reads it, and an entry in the table; nothing else."""

from pathlib import Path

import pytest
import torch
import yaml

from lit_resnet import sameness
from lit_resnet.cli import main
from lit_resnet.data.in_memory import InMemory, Splits
from lit_resnet.data.sources import DATA_SETS
from lit_resnet.errors import InputError
from lit_resnet.grid.asked import Asked
from lit_resnet.grid.grid import Grid, load
from lit_resnet.launch import plan
from lit_resnet.report import runs
from lit_resnet.run.config import RunCLI
from lit_resnet.run.run import train
from lit_resnet.runfolder.folder import RunFolder

TRAINER = {"max_steps": 2, "val_check_interval": 2, "log_every_n_steps": 1, "accelerator": "cpu"}


def stripes(root: Path) -> Splits:
    """Grey images with a bright column (class 0) or row (class 1)."""
    labels = torch.arange(48) % 2
    images = torch.full((48, 1, 8, 8), 60, dtype=torch.uint8)
    images[labels == 0, :, :, 3] = 255
    images[labels == 1, :, 3] = 255
    return images[:32], labels[:32], images[32:], labels[32:]


@pytest.fixture(autouse=True)
def _an_entry(monkeypatch: pytest.MonkeyPatch, one_thread: None):
    monkeypatch.setitem(DATA_SETS, "stripes", InMemory(2, (1, 8, 8), stripes))


def grid(folder: Path, source: str = "stripes") -> Grid:
    base = {"data": {"source": source, "batch_size": 16}, "model": {"net": {"depth": 8}}, "trainer": TRAINER}
    (folder / "base.yaml").write_text(yaml.safe_dump(base))
    cells = {"plain-8": {"model.net.shortcut": "none"}, "ResNet-8": {}}
    (folder / "mine.yaml").write_text(yaml.safe_dump({"base": "base.yaml", "include": cells}, sort_keys=False))
    return load(str(folder / "mine.yaml"), ())


def test_fit_trains_on_it(tmp_path: Path):
    options = [f"--trainer.{key}={value}" for key, value in TRAINER.items()]
    path = tmp_path / "run"
    assert (
        main(["fit", "--data.source=stripes", "--model.net.depth=8", f"--trainer.default_root_dir={path}", *options])
        == 0
    )
    summary = RunFolder(path).summary()
    assert (summary.data, summary.net_config["num_classes"], summary.net_config["in_channels"]) == ("stripes", 2, 1)


def test_a_grid_is_planned_trained_and_read(tmp_path: Path):
    mine = grid(tmp_path)
    assert [(p.data, p.image_shape) for p in plan.check(mine)] == [("stripes", (1, 8, 8))] * 2
    cell = mine.cells[1]
    config = mine.config(cell)
    assert train(RunCLI(config), RunFolder(tmp_path / "runs" / "mine" / cell.folder))
    read = runs.read(Asked(str(tmp_path / "mine.yaml"), root=tmp_path / "runs"))
    assert [run.cell for run in read.finished] == ["ResNet-8"]
    assert not read.photographs

    def at(root: str) -> str:
        return sameness.digest(config | {"data": config["data"] | {"root": root}})

    assert at("/here/stripes") == at("/there/stripes") != at("/here/wider-stripes")  # its images may be others


def test_a_misspelled_name_is_refused_with_the_nearest_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["fit", "--data.source=stirpes"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("lit-resnet: data.source is 'stirpes': write one of digits, cifar10, ")
    assert line.endswith("; did you mean stripes?")
    with pytest.raises(InputError, match=r"cell plain-8: data.source is 'stirpes': .*did you mean stripes\?"):
        plan.check(grid(tmp_path, "stirpes"))
