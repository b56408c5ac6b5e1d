"""What the README tells people to write and type is right."""

import re
import shlex
from pathlib import Path

import pytest

from lit_resnet.grid import cluster
from lit_resnet.grid.grid import find, load, shipped
from lit_resnet.launch.plan import check
from lit_resnet.run.config import RunCLI

README = (Path(__file__).parent.parent / "README.md").read_text()
GRID, CLUSTER = re.findall(r"```yaml\n(.*?)```", README, flags=re.DOTALL)


def test_its_grid_is_one(tmp_path: Path):
    path = tmp_path / "mine.yaml"
    path.write_text(GRID)
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
    path.write_text(CLUSTER)
    asked = cluster.read(path)
    assert (asked.partition, asked.gres, asked.runs_per_gpu) == ("gpu", "gpu:a100", 4)


FITS = re.findall(r"^uv run lit-resnet fit (.*)$", README, flags=re.MULTILINE)


@pytest.mark.parametrize("line", [line for line in FITS if "--help" not in line])
def test_its_runs_are_understood(line: str):
    args = shlex.split(line, comments=True)
    if "--config" in args:
        place = args.index("--config") + 1
        args[place] = str(find(args[place], shipped() / "recipes", "config"))
    RunCLI(args)


def test_the_recipe_of_imagenet_is_the_papers(tmp_path: Path):
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
