"""What a run makes of signals, deaths and Slurm's environment, without training one."""

import os
import signal

import pytest
from lightning.fabric.plugins.environments import LightningEnvironment, SLURMEnvironment
from lightning.pytorch.accelerators import CPUAccelerator

from lit_resnet.run.config import RunCLI
from lit_resnet.run.environment import slurm_job
from lit_resnet.runfolder.status import DEATHS, Status
from lit_resnet.training.stop import Stopped, StopRequest


def send(*numbers: signal.Signals) -> None:
    for number in numbers:
        os.kill(os.getpid(), number)


TERM, INT, USR1 = signal.SIGTERM, signal.SIGINT, signal.SIGUSR1


@pytest.mark.parametrize("numbers", [(TERM, TERM), (USR1, TERM, USR1), (INT, TERM), (TERM, INT)])
def test_signals_that_come_twice_are_one_wish(numbers: tuple[signal.Signals, ...]):
    stop = StopRequest()
    with stop.heeded():
        stop.training_begins()
        send(*numbers)
        assert stop.made
        assert stop.signal == numbers[0]
        with pytest.raises(Stopped):
            stop.training_ends()


def test_a_second_ctrl_c_is_an_order():
    stop = StopRequest()
    with stop.heeded():
        stop.training_begins()
        send(INT)
        with pytest.raises(Stopped):
            send(INT)


@pytest.mark.parametrize("number", [TERM, INT, USR1])
def test_what_is_stopped_is_not_stopped_again_while_it_puts_things_in_order(number: signal.Signals):
    ended = False
    before = signal.getsignal(number)
    with StopRequest().heeded():
        try:
            send(number)
        finally:
            send(number, TERM)
            ended = True
    assert ended
    assert signal.getsignal(number) == before


def test_an_ignored_signal_stays_ignored():
    before = signal.signal(INT, signal.SIG_IGN)
    try:
        stop = StopRequest()
        with stop.heeded():
            stop.training_begins()
            send(INT)
        assert not stop.made
        assert signal.getsignal(INT) == signal.SIG_IGN
    finally:
        signal.signal(INT, before)


def test_deaths_in_a_row_count_where_they_bring_a_run_no_further():
    status = Status("running", saved=100)
    for death in range(1, DEATHS):
        status.died("out of memory")
        assert (status.state, status.deaths, status.error) == ("queued", death, "out of memory")
    status.saved = 200
    status.died("out of memory")
    assert (status.state, status.deaths) == ("queued", 1)
    for _ in range(1, DEATHS):
        status.died("out of memory")
    assert (status.state, status.error) == ("failed", "out of memory; died 3 times from iteration 200 on")


# What srun sets for the second of two tasks, on the second of two nodes.
TASK = {
    "SLURM_JOB_ID": "1234567", "SLURM_JOB_NAME": "table6", "SLURM_NNODES": "2", "SLURM_NTASKS": "2",
    "SLURM_NTASKS_PER_NODE": "1", "SLURM_PROCID": "1", "SLURM_LOCALID": "0", "SLURM_NODEID": "1",
    "SLURM_NODELIST": "n[1-2]", "SLURM_STEP_NUM_TASKS": "2",
}  # fmt: skip


@pytest.fixture
def task(monkeypatch) -> None:
    """Inside of a task of Slurm, which has heeded signals before."""
    for name in [name for name in os.environ if name.startswith("SLURM_")]:
        monkeypatch.delenv(name)
    for name, value in TASK.items():
        monkeypatch.setenv(name, value)
    for name in ("MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)


def trainer(**config):
    cli = RunCLI({"data": {"source": "digits"}, "trainer": {"accelerator": "cpu", "max_steps": 1, **config}})
    cli.instantiate(logger=[], callbacks=[])
    return cli.trainer


@pytest.mark.usefixtures("task")
def test_a_run_of_two_devices_is_that_of_sruns_two_tasks():
    found = trainer(devices=1, num_nodes=2, strategy="ddp")
    environment = found.strategy.cluster_environment
    assert isinstance(environment, SLURMEnvironment)
    assert not environment.auto_requeue
    assert (found.world_size, found.global_rank, environment.main_address) == (2, 1, "n1")


@pytest.mark.usefixtures("task")
@pytest.mark.parametrize(
    ("config", "tasks"), [({"devices": 1}, "2"), ({"devices": 2, "strategy": "ddp"}, None)], ids=["packed", "no srun"]
)
def test_else_slurm_has_no_say(monkeypatch, config: dict, tasks: str | None):
    if tasks is None:
        monkeypatch.delenv("SLURM_STEP_NUM_TASKS")
    found = trainer(**config)
    assert isinstance(found._accelerator_connector.cluster_environment, LightningEnvironment)
    assert (found.world_size, found.global_rank) == (config["devices"], 0)


def test_a_run_that_names_no_devices_takes_one_of_those_there_are(monkeypatch):
    monkeypatch.setattr(CPUAccelerator, "auto_device_count", staticmethod(lambda: 4))
    assert trainer().num_devices == 1


def test_the_job_around_a_run(monkeypatch):
    for name in ("SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID"):
        monkeypatch.delenv(name, raising=False)
    assert slurm_job() is None
    monkeypatch.setenv("SLURM_JOB_ID", "18")
    assert slurm_job() == "18"
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "17")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "3")
    assert slurm_job() == "17_3"
