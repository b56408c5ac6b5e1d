"""Environment variables that look like settings: no run takes them, and nobody should think that it does."""

from pathlib import Path

import pytest
import yaml

from lit_resnet.cli import main
from lit_resnet.errors import InputError
from lit_resnet.grid.grid import load
from lit_resnet.launch.plan import check
from lit_resnet.run.config import RunCLI

DIGITS = ["--data.source", "digits", "--trainer.accelerator", "cpu"]


@pytest.fixture(scope="module")
def cli() -> RunCLI:
    """The parser that they share, as it takes a tenth of a second."""
    return RunCLI(DIGITS)


@pytest.mark.parametrize(
    ("variable", "value", "instead"),
    [
        ("PL_FIT__MODEL__NET__DEPTH", "8", "write --model.net.depth 8"),
        ("PL_MODEL__NET__DEPTH", "8", "write --model.net.depth 8"),
        ("PL_FIT__MODEL__LR", "0.5", "write --model.rate.lr 0.5"),  # as an earlier version had it
        ("PL_TRAINER_MAX_STEPS", "7", "write --trainer.max_steps 7"),
        ("PL_TRAINER__VAL_CHECK_INTERVAL", "7", "write --trainer.val_check_interval 7"),
        ("PL_DATA__ROOT", "a b", "write --data.root 'a b'"),
        ("PL_CONFIG", "digits", "write --config digits"),
        ("PL_SEED_EVERYTHING", "3", "write --seed_everything 3"),
        ("PL_TRAINER_MAX_EPOCHS", "3", "lit-resnet fit --help has a run's keys"),
        ("PL_FIT__OPTIMIZER", "Adam", "lit-resnet fit --help has a run's keys"),
    ],
)
def test_a_setting_is_refused_with_what_to_write(cli: RunCLI, variable: str, value: str, instead: str, monkeypatch):
    monkeypatch.setenv(variable, value)
    with pytest.raises(InputError) as refused:
        cli.check()
    words = f"{variable} is set, but a run takes no settings from the environment: unset it; {instead}"
    assert str(refused.value) == words


@pytest.mark.parametrize(
    "variable",
    ["PL_GLOBAL_SEED", "PL_SEED_WORKERS", "PL_DISABLE_FORK", "PL_DEEPSPEED_CONFIG_PATH", "PL_DATA", "PLOT__X", "PL_"],
)
def test_what_is_no_setting_stays(cli: RunCLI, variable: str, monkeypatch):
    monkeypatch.setenv(variable, "1")
    monkeypatch.setenv("PL_TRAINER_DEVICES", "")  # which Lightning takes for unset
    cli.check()


@pytest.mark.parametrize("verb", ["fit", "validate", "test"])
def test_each_verb_refuses_it_in_one_line(verb: str, monkeypatch, tmp_path: Path, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PL_TRAINER_MAX_STEPS", "7")
    checkpoint = [] if verb == "fit" else ["--ckpt_path", "last.ckpt"]
    assert main([verb, *DIGITS, *checkpoint]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("lit-resnet: PL_TRAINER_MAX_STEPS is set, ")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("variable", "value", "instead"),
    [
        ("PL_FIT__MODEL__NET__DEPTH", "8", "write --set model.net.depth=8"),
        ("PL_SEED_EVERYTHING", "3", "write --seeds 3"),
        ("PL_CONFIG", "digits", "write digits as the base of the grid"),
    ],
)
def test_a_launch_refuses_it_before_anything_starts(
    variable: str, value: str, instead: str, monkeypatch, tmp_path: Path
):
    """Where jsonargparse reads the environment, a cell's run would be another than its grid says."""
    (tmp_path / "base.yaml").write_text(yaml.safe_dump({"data": {"source": "digits"}}))
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump({"base": "base.yaml", "include": {"a": {}}}))
    monkeypatch.setenv(variable, value)
    with pytest.raises(InputError, match=f"^tiny, cell a: {variable} is set.*; {instead}$"):
        check(load(str(tmp_path / "tiny.yaml")))
