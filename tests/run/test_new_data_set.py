"""A data set that is added as docs/extending.md says works in `fit` and in grids."""

from pathlib import Path

import pytest
import yaml
from extending import Add

from lit_resnet import sameness
from lit_resnet.cli import main
from lit_resnet.errors import InputError
from lit_resnet.grid.asked import Asked
from lit_resnet.grid.grid import Grid, load
from lit_resnet.launch import plan
from lit_resnet.report import runs
from lit_resnet.run.config import RunCLI
from lit_resnet.run.run import train
from lit_resnet.runfolder.folder import RunFolder

TRAINER = {"max_steps": 2, "val_check_interval": 2, "log_every_n_steps": 1, "accelerator": "cpu"}


@pytest.fixture(autouse=True)
def _stripes(add: Add, one_thread: None):
    add("A data set")


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
    assert line.startswith("lit-resnet: data.source is stirpes: write one of digits, cifar10, ")
    assert line.endswith("; did you mean stripes?")
    with pytest.raises(InputError, match=r"cell plain-8: data.source is stirpes: .*did you mean stripes\?"):
        plan.check(grid(tmp_path, "stirpes"))
