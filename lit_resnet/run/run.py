"""One run from its config to its finished folder, and the verbs `fit`, `validate`, `test` and `responses`."""

import copy
import ctypes
import math
import os
import platform
import re
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import asdict, is_dataclass
from functools import partial
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
import yaml
from lightning.pytorch import LightningDataModule
from lightning.pytorch.utilities import rank_zero_only

from lit_resnet.data.stream import Batch
from lit_resnet.errors import InputError
from lit_resnet.files import FOR_A_WHILE, parse_yaml
from lit_resnet.metrics import IMAGES_PER_SECOND
from lit_resnet.moved import check_keys
from lit_resnet.nets import Net
from lit_resnet.probes.blocks import diagrams
from lit_resnet.probes.complexity import complexity
from lit_resnet.probes.device import device_name, full_precision, gpu_or_cpu
from lit_resnet.probes.responses import responses
from lit_resnet.run import detect
from lit_resnet.run.check import check
from lit_resnet.run.config import RunCLI
from lit_resnet.run.environment import slurm_job
from lit_resnet.run.last import Last
from lit_resnet.run.models import check_trained_on, untrained
from lit_resnet.runfolder import diagrams as blocks
from lit_resnet.runfolder import predictions, provenance, writing
from lit_resnet.runfolder.folder import GivenUp, RunFolder
from lit_resnet.runfolder.records import RESPONSES
from lit_resnet.runfolder.start import started_otherwise
from lit_resnet.runfolder.status import Status
from lit_resnet.runfolder.summary import Summary, trained_with
from lit_resnet.sameness import digest, may_resume, setting
from lit_resnet.training.checkpoints import RESUMED, newest_checkpoint
from lit_resnet.training.clock import CheckpointClock
from lit_resnet.training.disk import Disk, say
from lit_resnet.training.progress import ProgressBar
from lit_resnet.training.recorder import MetricsFile, Recorder
from lit_resnet.training.start import start_weights
from lit_resnet.training.stop import Stopped, StopRequest
from lit_resnet.training.weights import load_weights

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of malloc.h
PACKAGES = ("lit-resnet", "torch", "torchvision", "lightning", "torchmetrics")
MOST_NAMED = 10  # boxes in a line


# -- one run


def train(
    cli: RunCLI, folder: RunFolder, stop: StopRequest | None = None, clock: CheckpointClock | None = None
) -> bool:
    """Train the run of `cli` to its end in `folder`, from where an earlier attempt stopped if there was one.

    Args:
        cli: Its config.
        folder: Its folder.
        stop: For who wants to know which signal stopped it.
        clock: When a checkpoint is due; None for the usual clock.

    Returns:
        Whether it is done; False where it was asked to stop, to be continued by another call.

    Raises:
        InputError: The folder holds a finished run, or one with another config.
        InUse: Another process trains in it.
        GivenUp: Three attempts in a row have died without getting any further.
    """
    keep_freed_memory()
    stop = stop or StopRequest()
    disk = Disk(stop)
    metrics = MetricsFile(folder, disk, cli.task)
    recorder = Recorder(folder, metrics, disk, stop, clock or CheckpointClock())
    # Before the folder is touched: a value out of range is refused here.
    cli.instantiate(
        default_root_dir=folder.path,
        logger=[metrics],
        callbacks=[recorder, ProgressBar(metrics)],
        plugins=[recorder.files],
    )
    with stop.heeded(), ExitStack() as held:
        if rank_zero_only.rank == 0:  # with several devices this is called once for each; the first one owns the folder
            disk.insist(str(folder.path), lambda: held.enter_context(folder.locked(timeout=5)))
            disk.insist(str(folder.path), lambda: _prepare(cli, folder))
        status = recorder.status = folder.status()
        _count_death(status, folder)
        _begin(status, cli)
        _note_origin(status, folder, disk)
        recorder.write_status()
        try:
            newest = newest_checkpoint(folder, RESUMED)
            _start_from(cli, folder, status, fresh=newest is None)
            cli.trainer.fit(cli.model, cli.datamodule, ckpt_path=newest, weights_only=True)
            _finish(cli, folder, recorder)
            status.state = "done"
        except Stopped:
            status.state = "queued"
        except ModuleNotFoundError as error:  # of a callback or a logger: another attempt would end the same way
            status.state, status.error = "failed", " ".join(str(error).split())
            raise InputError(status.error) from None
        except InputError as error:
            status.state, status.error = "failed", str(error)
            raise
        except BaseException as error:
            words = " ".join(f"{type(error).__name__}: {error}".split())
            if isinstance(error, OSError) and error.errno in FOR_A_WHILE:
                status.state, status.error = "queued", words
            else:
                status.died(words)
            raise
        finally:
            try:
                recorder.write_status()
            except OSError as error:  # which must not hide why it ended
                say(f"{folder.status_file}: {error.strerror}")
    return recorder.status.state == "done"


def _begin(status: Status, cli: RunCLI) -> None:
    """Say in the status that this process makes another attempt: when, where and at what."""
    status.state, status.attempts, status.error = "running", status.attempts + 1, None
    status.started = status.started or time.time()
    status.host, status.pid, status.job = platform.node(), os.getpid(), slurm_job()
    status.digest = digest(cli.given) if isinstance(cli.given, dict) else None
    status.machine = {
        "device": device_name(cli.trainer.strategy.root_device),
        "cpu_count": os.cpu_count() or 1,
        "system": platform.platform(),
    }
    status.task = cli.task.name


@rank_zero_only
def _count_death(status: Status, folder: RunFolder) -> None:
    """Count the attempt before this one as dead if its status says `running`: its process holds no lock any more.

    Raises:
        GivenUp: It was the third in a row that got no further.
    """
    if status.state == "failed":  # somebody has started the run again
        status.deaths = 0
    if status.state != "running":
        return
    status.died("its process was killed, or its machine vanished")
    if status.state == "failed":
        folder.write_status(status)
        raise GivenUp(
            f"{folder.path}: {status.error}; see its log, mend the cause (memory, most often), and start it again"
        )


@rank_zero_only
def _note_origin(status: Status, folder: RunFolder, disk: Disk) -> None:
    """Write down the code that this attempt is made with: in the status, and what is long in files of the folder."""
    code, package, own = provenance.code(), provenance.of_package(), provenance.of_user()
    if status.saved and status.code not in (None, code):
        say(f"warning: the code of lit_resnet has changed since iteration {status.saved}, from which the run goes on")
    status.code = code
    status.versions = {name: version(name) for name in PACKAGES} | {"python": platform.python_version()}
    status.git_commit, status.git_dirty = (package.commit, package.dirty) if package else (None, None)
    status.own_git_commit, status.own_git_dirty = (own.commit, own.dirty) if own else (None, None)
    texts = {folder.versions_file: provenance.installed()}
    texts |= {folder.patch_file: package.patch if package else "", folder.own_patch_file: own.patch if own else ""}
    for path, text in texts.items():
        if text or path.exists():
            disk.insist(str(path), partial(writing.replace, path, text))


def _start_from(cli: RunCLI, folder: RunFolder, status: Status, fresh: bool) -> None:
    """Give a fresh run the weights that `model.start` names; of one that goes on see that they are the same as then.

    A run that goes on does not need them, and so they may be gone.

    Raises:
        InputError: There are no such weights, they are of another net, or they are others than those of the beginning.
    """
    if (path := cli.start) is None:
        return
    if fresh:
        start = start_weights(path)
        cli.model.begin_from(start)
        status.start = start.started
    elif status.start and (key := started_otherwise(status.start, path)):
        raise InputError(f"{folder.path}: {key}; put those weights back, or give another folder")


def keep_freed_memory() -> None:
    """Let glibc keep the memory that an iteration frees: giving it back costs a tenth of the training time and more."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt:
        mallopt(M_MMAP_MAX, 0)  # else large tensors have memory of their own, which always goes back
        mallopt(M_TRIM_THRESHOLD, -1)  # never


def _prepare(cli: RunCLI, folder: RunFolder) -> None:
    """Refuse a folder that holds another run or a finished one, else write the config there."""
    if folder.summary():
        raise InputError(f"{folder.path}: this run is finished; give another folder, or move this one away")
    text = cli.config_text()
    if folder.begun():
        check_keys(folder.config(), folder.config_file)
        if key := may_resume(folder.config(), parse_yaml(text, "config")):
            raise InputError(
                f"{folder.path}: holds a run with another {key}; give another folder, or move this one away"
            )
    folder.checkpoints.mkdir(exist_ok=True)
    writing.replace(folder.config_file, text)
    if isinstance(cli.given, dict):  # a cell of a grid
        writing.replace(folder.cell_file, yaml.safe_dump(cli.given, sort_keys=False))


def _finish(cli: RunCLI, folder: RunFolder, recorder: Recorder) -> None:
    """Measure the last model, and write summary.json after all other files."""
    trainer, model, data, metrics = cli.trainer, cli.model, cli.datamodule, recorder.metrics
    wall_seconds = recorder.elapsed
    metrics.resume(trainer.global_step)  # an attempt that found all iterations done knows its figures from here
    if not trainer.is_global_zero:
        return
    rows = metrics.record.whole(folder.path, trainer.global_step)
    if not rows:  # somebody has removed the file
        raise metrics.record.damaged(folder.path, "has no rows")
    device = trainer.strategy.root_device
    net = copy.deepcopy(model.net)  # hooks do not fire in a compiled net; a copy is not compiled
    counted = complexity(net, data.image_shape)
    net.to(device).to(memory_format=torch.channels_last)
    last = Last(model, net, data, device, folder, recorder.disk)
    for probe in cli.task.probes:
        PROBES[probe](last)
    test_images = data.test_digest()
    if protocols := cli.config.get("evaluate"):
        import_module(cli.task.judging).judge_last(last, protocols)
    elif folder.evaluation_file.exists():  # somebody has judged an earlier model: that is no result of this run
        recorder.disk.insist(folder.evaluation_file.name, lambda: folder.add_evaluations({}, last.checkpoint, cli.task))
    recorder.note_memory(device)
    if model.rate.warming_up:
        print(
            "warning: the warm-up never ended: the training error stayed at "
            f"{model.rate.rule.warmup_error:g} % or more",
            file=sys.stderr,
        )
    if boxes := data.degenerate_boxes:
        named = ", ".join(boxes[:MOST_NAMED]) + (", ..." if len(boxes) > MOST_NAMED else "")
        counted_boxes = f"{len(boxes)} box{'es' * (len(boxes) > 1)} without width or height"
        print(f"warning: {counted_boxes} left out: {named}", file=sys.stderr)
    if damaged := len(data.damaged_files):
        print(f"warning: {damaged} damaged images were left out; each was named when it was met", file=sys.stderr)
    speeds = [row[IMAGES_PER_SECOND.name] for row in rows]
    speeds = [speed for speed in speeds if speed is not None]
    status = recorder.status
    assert is_dataclass(model.config)
    config = folder.config()
    summary = Summary(
        task=cli.task.name,
        config=trained_with(config),
        net=str(model.config),
        net_config=asdict(model.config),
        data=data.name,
        test_images=test_images,
        seed=cli.config.seed_everything,
        metrics={metric.name: metrics.last.get(metric.name) for metric in cli.task.final},
        damaged_images=damaged,
        degenerate_boxes=len(data.degenerate_boxes),
        diverged=not all(math.isfinite(metrics.last[name]) for name in ("train_loss", *metrics.newest)),
        **asdict(counted),
        steps=trainer.global_step,
        warmup_lr=model.rate.rule.warmup_lr,
        warmup_steps=model.rate.warmup_steps,
        plateaus=tuple(model.rate.drops),
        batch_size=data.batch_size,
        setting=setting(config),
        wall_seconds=round(wall_seconds, 3),
        images_per_second=statistics.median(speeds) if speeds else None,
        peak_memory_bytes=status.peak_memory_bytes,
        device=device_name(device),
        host=platform.node(),
        precision=str(trainer.precision),
        finished=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        versions=status.versions,
        git_commit=status.git_commit,
        git_dirty=status.git_dirty,
        own_git_commit=status.own_git_commit,
        own_git_dirty=status.own_git_dirty,
        code=status.code,
        start=status.start,
    )
    recorder.disk.insist(str(folder.summary_file), lambda: folder.write_summary(summary))


def _keep_responses(folder: RunFolder, measured: list[tuple[str, float]]) -> None:
    """Replace responses.csv by (name, std) of each layer, in their order."""
    rows = [{"layer": layer, "name": name, "std": std} for layer, (name, std) in enumerate(measured, start=1)]
    RESPONSES.replace(folder.path, rows)


@runtime_checkable
class Tested(Protocol):
    """What measurements of a trained net ask of the data of a task."""

    def setup(self, stage: str) -> None:
        """Read what the loaders need."""
        ...

    def test_batches(self, device: torch.device) -> Iterable[Batch]:
        """Batches of all test images on a device."""
        ...

    def test_count(self) -> int:
        """How many test images there are."""
        ...


def _measure_responses(last: Last) -> None:
    """Layer responses over the test images (Fig. 7), into responses.csv."""
    assert isinstance(last.net, Net)
    assert isinstance(last.data, Tested)
    measured = responses(last.net, last.data.test_batches(last.device))
    if not measured:  # it names no layers
        return
    last.disk.insist(str(RESPONSES.file(last.folder.path)), lambda: _keep_responses(last.folder, measured))


def _predict(last: Last) -> None:
    """What each test image is taken for, into predictions.npy."""
    assert isinstance(last.data, Tested)
    labels, classes = [], []
    with torch.inference_mode():
        for images, wanted in last.data.test_batches(last.device):
            classes.append(last.net.eval()(images).argmax(1).cpu())
            labels.append(wanted.cpu())
    found = [torch.cat(part).numpy() for part in (labels, classes)]
    path = last.folder.path
    last.disk.insist(str(path / predictions.NAME), lambda: predictions.keep(path, *found))


def _draw_blocks(last: Last) -> None:
    """What the blocks of the net do, into blocks.json; a line says why where that cannot be read."""
    try:
        found = diagrams(last.net, last.data.image_shape)
    except Exception as error:  # somebody's own net may do anything, and no picture is worth a run
        say(f"its blocks are not drawn: {error}")
        return
    if not found:
        return
    try:
        last.disk.insist(str(last.folder.path / blocks.NAME), lambda: blocks.keep(last.folder.path, found))
    except ValueError as error:  # a number that the file does not take
        say(f"its blocks are not drawn: {error}")


# The measurements that a task may name under `probes`. Each measures the last model of a run and writes to its folder.
PROBES: dict[str, Callable[[Last], None]] = {
    "responses": _measure_responses,
    "predictions": _predict,
    "blocks": _draw_blocks,
    "detections": detect.keep_last,
}


# -- verbs


def fit(args: list[str]) -> int:
    """`lit-resnet fit`: train one run in `--trainer.default_root_dir`; with `--check` only try whether it trains.

    The default folder is `runs/fit/<net>-<data>-seed<k>-<digits>`; the digits are those of `sameness.digest`, and of
    the place of the weights that it starts from: their own digest would need them to be there when the run goes on.
    """
    cli = RunCLI([arg for arg in args if arg != "--check"])
    data, net = cli.check()
    if "--check" in args:
        measured = check(cli)
        if measured is None:
            return 130
        print(f"it trains: {measured} after 2 iterations, on a few images; nothing was kept", file=sys.stderr)
        return 0
    folder = cli.config.trainer.default_root_dir
    if folder is None:
        config = parse_yaml(cli.config_text(), "config") | ({"start": cli.start} if cli.start else {})
        name = f"{net}-{data.name}-seed{cli.config.seed_everything}-{digest(config)[:6]}"
        folder = f"runs/fit/{re.sub(r'[^A-Za-z0-9._-]', '-', name)}"
    run = RunFolder(folder)
    train(cli, run)
    if rank_zero_only.rank != 0:  # the first process is not done yet: Lightning kills it if another ends with an error
        return 0
    summary = run.summary()
    end = f"done, {summary.results}" if summary else "stopped; the same command continues it"
    print(f"{folder}: {end}", file=sys.stderr)
    return 0 if summary else 130


def evaluate(verb: str, args: list[str]) -> int:
    """`lit-resnet validate | test`: errors of a checkpoint, to stdout; writes nothing."""
    cli = RunCLI(args, verb)
    cli.instantiate(logger=[], callbacks=[])
    check_trained_on(cli.datamodule, load_weights(cli.model.net, Path(cli.config.ckpt_path)))
    assert isinstance(cli.datamodule, LightningDataModule)  # as every task's data are
    run = cli.trainer.validate if verb == "validate" else cli.trainer.test
    run(cli.model, datamodule=cli.datamodule, verbose=False)
    if not cli.trainer.is_global_zero:
        return 0
    measured = [metric for metric in cli.task.final if metric.name in cli.trainer.callback_metrics]
    for metric in measured:
        print(f"{metric.name} {cli.trainer.callback_metrics[metric.name]:.4f} {metric.unit}".rstrip())
    if not measured:
        say("nothing is known of these images that a number could be made from: no labels, or no boxes")
    return 0


def responses_of(run: str) -> list[tuple[str, float]]:
    """`lit-resnet responses RUN`: layer responses of a run's newest checkpoint; also replaces its responses.csv.

    Where that cannot be written, a warning on stderr says so.

    Raises:
        InputError: No run, no whole checkpoint, weights of another net, or other test images than at its end.
    """
    folder = RunFolder(run)
    data, net = untrained(folder)
    checkpoint = newest_checkpoint(folder)
    if checkpoint is None:
        raise InputError(f"{folder.checkpoints}: no whole checkpoint here; responses need trained weights")
    load_weights(net, checkpoint)
    device = gpu_or_cpu()
    if not (isinstance(data, Tested) and isinstance(net, Net)):
        raise InputError(f"{folder.path}: layer responses are of classification, and this run is of another task")
    data.setup("test")
    summary = folder.summary()
    if summary and summary.test_images not in (None, data.test_digest()):
        raise InputError(f"{folder.path}: its test images are others than at its end: put those of then back")
    full_precision()
    net.to(device).to(memory_format=torch.channels_last)
    measured = responses(net, data.test_batches(device))
    if not measured:
        raise InputError(f"{folder.path}: {net.config} names no layers whose responses could be measured")
    try:
        _keep_responses(folder, measured)
    except OSError as error:  # such as an archive that cannot be written
        print(f"warning: {RESPONSES.file(folder.path)}: not written ({error.strerror})", file=sys.stderr)
    return measured
