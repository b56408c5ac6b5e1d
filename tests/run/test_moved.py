"""Keys of earlier versions: a config, a flag, a grid or a run folder that has one is told where it stands now."""

from pathlib import Path

import pytest
import torch
import yaml

from lit_resnet.errors import InputError
from lit_resnet.grid.grid import load
from lit_resnet.launch import plan
from lit_resnet.moved import MOVED
from lit_resnet.run import models
from lit_resnet.run.config import RunCLI
from lit_resnet.run.run import responses_of, train
from lit_resnet.runfolder.folder import RunFolder
from lit_resnet.runfolder.status import Status

LR = "model.lr moved to model.rate.lr"
OLD = {"model": {"net": {"depth": 8}, "lr": 0.1}, "data": {"source": "digits"}}


def test_the_keys_are_there_and_were_not_taken_again():
    known = RunCLI({}).keys
    assert set(MOVED.values()) <= set(known)
    assert not set(MOVED) & set(known)


@pytest.mark.parametrize("key", MOVED)
def test_a_config_is_told(key: str):
    with pytest.raises(InputError, match=f"^{key} moved to {MOVED[key]}$"):
        RunCLI({"model": {key.removeprefix("model."): 1}})


def test_a_config_file_and_a_flag_are_told(tmp_path: Path):
    (tmp_path / "old.yaml").write_text(yaml.safe_dump(OLD))
    for args in (["--config", str(tmp_path / "old.yaml")], ["--model.lr", "0.1"], ["--model.lr=0.1"]):
        with pytest.raises(InputError, match=f"^{LR}$"):
            RunCLI(args)


@pytest.mark.parametrize("where", ["base", "include"])
def test_a_grid_is_told(tmp_path: Path, where: str):
    (tmp_path / "base.yaml").write_text(yaml.safe_dump(OLD if where == "base" else {}))
    cell = {"model.net.depth": 8} if where == "base" else {"model.lr": 0.1}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({"base": "base.yaml", "include": {"a": cell}}))
    with pytest.raises(InputError, match=f"^mine, cell a: {LR}$"):
        plan.check(load(str(tmp_path / "mine.yaml")))


def test_a_run_folder_is_told(tmp_path: Path):
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    folder.config_file.write_text(yaml.safe_dump(OLD))
    folder.write_status(Status("queued", attempts=1))
    folder.checkpoints.mkdir()
    torch.save({"state_dict": {}}, folder.checkpoints / "last.ckpt")
    new = {"model": {"net": {"depth": 8}}, "data": {"source": "digits"}, "trainer": {"accelerator": "cpu"}}
    told = f"config.yaml: {LR}; write it so, or move this folder of an earlier version away"
    for ask in (lambda: train(RunCLI(new), folder), lambda: models.of_run(folder), lambda: responses_of(folder.path)):
        with pytest.raises(InputError, match=told):
            ask()
