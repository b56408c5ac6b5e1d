"""Runs of nets with gates and dropout: exact after a kill, and the gates on the disk and in the figure."""

from pathlib import Path

import pytest
import torch
from clocks import Killed, Saves
from test_run import METRICS, config

from lit_resnet.report.figures.gates import shares
from lit_resnet.report.looks import of_net
from lit_resnet.report.runs import FinishedCell, FinishedRun
from lit_resnet.run.config import RunCLI
from lit_resnet.run.run import train
from lit_resnet.runfolder.folder import RunFolder
from lit_resnet.runfolder.records import GATES, SIGNALS
from lit_resnet.task import CLASSIFICATION

STEPS = 12


def said(**net) -> dict:
    found = config(net={"depth": 8, **net}, speed={"recompute": net["gate"] == "dropout"})
    found["trainer"] |= {"max_steps": STEPS, "val_check_interval": 6, "log_every_n_steps": 4}
    return found


@pytest.mark.parametrize(
    "net", [{"gate": "exclusive", "gate_value": -2.0, "order": "full"}, {"gate": "dropout"}], ids=["gates", "dropout"]
)
def test_a_killed_run_ends_as_one_that_was_not(net: dict, tmp_path: Path, one_thread: None):
    whole, killed = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "killed")
    assert train(RunCLI(said(**net)), whole)
    with pytest.raises(Killed):
        train(RunCLI(said(**net)), killed, clock=Saves(5, killed=9))
    torch.rand(3)  # another process has drawn other numbers
    assert train(RunCLI(said(**net)), killed)
    a, b = (torch.load(run.checkpoints / "last.ckpt", weights_only=True)["state_dict"] for run in (whole, killed))
    assert all(torch.equal(a[name], b[name]) for name in a)
    rows = [[row | {"images_per_second": None} for row in METRICS.read(run.path)] for run in (whole, killed)]
    assert rows[0] == rows[1]
    assert SIGNALS.read(whole.path) == SIGNALS.read(killed.path) != []
    openings = GATES.read(whole.path)
    assert openings == GATES.read(killed.path)
    if net["gate"] == "dropout":
        assert openings == []
        return
    assert [(row["step"], row["name"]) for row in openings] == [
        (step, f"layer{stage}.0") for step in (4, 8, 12) for stage in (1, 2, 3)
    ]
    assert all(0.02 < row["opening"] < 0.5 for row in openings)  # sigmoid(-2) is 0.12
    summary = whole.summary()
    assert summary
    run = FinishedRun("gated", 1, "done", whole, CLASSIFICATION, summary)
    figure, caption = shares([FinishedCell("gated", (run,), of_net(summary.net_config))])
    assert figure is not None
    first, last = (line.get_ydata() for line in figure.axes[0].lines)
    assert list(first) == [1 - row["opening"] for row in openings[:3]]
    assert list(last) == [1 - row["opening"] for row in openings[-3:]]
    assert "1 - g" in caption
