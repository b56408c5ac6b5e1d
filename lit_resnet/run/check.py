"""`lit-resnet fit --check`: does a config train? Two iterations and a short evaluation, in a folder that is removed."""

import tempfile
from pathlib import Path

from lightning.pytorch import LightningDataModule

from lit_resnet.run.config import RunCLI
from lit_resnet.runfolder.folder import RunFolder
from lit_resnet.training.clock import CheckpointClock
from lit_resnet.training.disk import Disk
from lit_resnet.training.recorder import MetricsFile, Recorder
from lit_resnet.training.start import start_weights
from lit_resnet.training.stop import StopRequest

STEPS, BATCHES = 2, 2  # iterations, and batches of the evaluation


def check(cli: RunCLI) -> str | None:
    """Train for two iterations and evaluate two batches, with all callbacks and loggers of the config; keep nothing.

    Returns:
        What was measured, in words; None where it was asked to stop.

    Raises:
        InputError: A value of the config is wrong.
    """
    cli.config.trainer.max_steps = cli.config.trainer.val_check_interval = STEPS
    cli.config.trainer.log_every_n_steps = 1
    if cli.config.model.get("bn_images") is not None:
        cli.config.model.bn_images = 1  # which is a batch
    stop = StopRequest()
    with stop.heeded(), tempfile.TemporaryDirectory(prefix="lit-resnet-check-") as folder:
        run = RunFolder(Path(folder) / "run")
        run.checkpoints.mkdir(parents=True)
        disk = Disk(stop)
        metrics = MetricsFile(run, disk, cli.task)
        recorder = Recorder(run, metrics, disk, stop, CheckpointClock())
        cli.instantiate(
            default_root_dir=folder,
            logger=[metrics],
            callbacks=[recorder],
            plugins=[recorder.files],
            limit_val_batches=BATCHES,
        )
        if cli.start is not None:
            cli.model.begin_from(start_weights(cli.start))
        assert isinstance(cli.datamodule, LightningDataModule)  # as every task's data are
        cli.trainer.fit(cli.model, cli.datamodule)
        return ", ".join(
            metric.words(metrics.newest[metric.name]) for metric in cli.task.final if metric.name in metrics.newest
        )
    return None  # `heeded` takes the request
