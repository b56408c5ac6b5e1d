"""The run folder: all that passes between training and what comes after it::

    runs/<grid>/<cell>-seed<k>/
      config.yaml     the complete config; `lit-resnet fit --config config.yaml` repeats the run
      cell.yaml       of a launched run: what its grid said
      status.json     queued | running | done | failed, progress, attempts, heartbeat, host, versions, git commit
      metrics.csv     one row per logged step (this and the other tables: see records.py)
      summary.json    what was trained, and the final numbers; written last: a run that has it is done
      responses.csv   layer responses (Fig. 7)
      predictions.npy what the last model took each test image for
      blocks.json     what each kind of block of the net does, step by step
      signals.csv     if asked for: variance and gradient of each layer's response while training (Sec. 4.1)
      gates.csv       of a net with gates: how far each is open while training
      lesions.csv     if asked for: test error without some of its blocks (Veit et al. 2016)
      evaluation.json if asked for: errors by ten crops or many scales (Sec. 3.4); of detectors, mAP by protocol
      scores/         what these were averaged from: one row of class scores for each image
      detections/     of detectors: all that the last model has found in the test images
      precision.csv   of detectors: precision over recall of each class
      examples/       of detectors: some test images, small, with their true boxes and those that were found
      checkpoints/    last.ckpt and the one before it
      log.txt         what the run printed
      versions.txt    what was installed, in the form of pip's constraints
      diff.patch      what differed from the commit that status.json names; own-diff.patch: in the user's own checkout
      wandb/          what W&B's client keeps of it
      stop            somebody has asked it to stop
      .lock           whose process trains it

Every file is replaced as a whole, or grows by whole lines, so that a kill at any instant leaves the folder readable.
Needs neither torch nor pandas.
"""

import json
import os
import shlex
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from lit_resnet.errors import InputError, printable, shown
from lit_resnet.files import FOR_A_WHILE, read_json, read_yaml
from lit_resnet.metrics import MAP50, Metric
from lit_resnet.runfolder import lock, status, summary, writing
from lit_resnet.runfolder.lock import Lock
from lit_resnet.runfolder.status import Status
from lit_resnet.runfolder.summary import Summary
from lit_resnet.task import CLASSIFICATION, Task

CLASS_AP = replace(MAP50, label="AP@.5", optional=True)  # of one class
MOST_CLASSES = 10_000
AGAIN = "remove this file, and launch again: it is made again, and nothing else is lost"


class GivenUp(InputError):
    """The run dies again and again without getting any further."""


class RunFolder:
    """One run's folder. Reading needs no lock; whoever trains holds `locked()`."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.config_file = self.path / "config.yaml"
        self.cell_file = self.path / "cell.yaml"
        self.status_file = self.path / "status.json"
        self.summary_file = self.path / "summary.json"
        self.evaluation_file = self.path / "evaluation.json"
        self.scores = self.path / "scores"
        self.log_file = self.path / "log.txt"
        self.checkpoints = self.path / "checkpoints"
        self.versions_file = self.path / "versions.txt"
        self.patch_file = self.path / "diff.patch"
        self.own_patch_file = self.path / "own-diff.patch"
        self.stop_file = self.path / "stop"
        self.wandb = self.path / "wandb"
        self._lock = Lock(self.path / lock.FILE)

    def __repr__(self) -> str:
        return f"RunFolder({str(self.path)!r})"

    @contextmanager
    def locked(self, timeout: float = 0.0) -> Iterator[None]:
        """Own the run: at most one process trains in a folder, of all machines that share it. See `Lock`.

        Raises:
            InUse: A live process still holds it after `timeout` seconds.
            InputError: The folder cannot be written.
            OSError: There is no space left.
        """
        with ExitStack() as held:
            try:
                self.path.mkdir(parents=True, exist_ok=True)
                held.enter_context(self._lock.held(timeout))
            except OSError as error:
                if error.errno in FOR_A_WHILE:
                    raise
                raise InputError(f"{self.path}: cannot be written ({error.strerror}); give another --root") from None
            yield

    def in_use(self) -> bool:
        """Whether a live process holds the lock, as far as a look can tell; changes nothing."""
        return self._lock.live()

    def holder(self) -> tuple[str, int] | None:
        """Host and process id of whose lock it is, be it alive or dead; None where there is no lock."""
        return self._lock.holder()

    @property
    def cancelled(self) -> bool:
        """Whether somebody has asked the run to stop."""
        return os.path.exists(self.stop_file)  # which is False where a network's file system is away

    @property
    def lost(self) -> Path | None:
        """The run that this folder is a link to, if that has been moved away; else None."""
        return self.path.readlink() if self.path.is_symlink() and not self.path.exists() else None

    def ask_to_stop(self) -> None:
        """Ask whoever trains it, on whatever machine, to save and end."""
        self.stop_file.touch()

    def allow(self) -> None:
        """Take that back."""
        self.stop_file.unlink(missing_ok=True)

    def silent(self, now: float) -> float | None:
        """Seconds at `now`, by the file system's `clock`, since the status was written; None if there is none."""
        try:
            return now - self.status_file.stat().st_mtime
        except OSError:
            return None

    def begun(self) -> bool:
        """Whether there is training in it that another config would not continue."""
        return self.summary_file.exists() or any(self.checkpoints.glob("*.ckpt"))

    # -- reading: files may be missing, or come from elsewhere

    def config(self) -> dict[str, Any]:
        """The complete config.

        Raises:
            InputError: There is none, or it is not a YAML mapping.
        """
        if not self.config_file.is_file():
            raise InputError(f"{self.path}: no run here (config.yaml is missing)")
        return read_yaml(self.config_file)

    def status(self) -> Status:
        """The status; `queued` where the run has not started.

        Raises:
            InputError: status.json is damaged.
        """
        try:
            return status.parse(self._json(self.status_file) or {})
        except ValueError as error:
            raise InputError(f"{self.status_file}: {error}; {AGAIN}") from None

    def summary(self) -> Summary | None:
        """What a finished run says of itself; None while the run is not done.

        Raises:
            InputError: summary.json is damaged, or was written by an earlier version.
        """
        try:
            content = self._json(self.summary_file)
            return None if content is None else summary.parse(content)
        except ValueError as error:
            raise self.wrong_summary(str(error)) from None

    def wrong_summary(self, how: str) -> InputError:
        """The error about a summary.json that cannot be used, with what to do about it."""
        whole = any(self.checkpoints.glob("*.ckpt"))
        return InputError(
            f"{self.summary_file}: {how}; {AGAIN if whole else 'put a copy of it back (there is no checkpoint here)'}"
        )

    def _json(self, path: Path) -> dict[str, Any] | None:
        """The object in one of its JSON files.

        Raises:
            ValueError: It holds something else.
        """
        try:
            return read_json(path)
        except InputError:
            raise ValueError("damaged") from None

    def evaluations(self, task: Task = CLASSIFICATION) -> dict[str, dict[str, Any]]:
        """By protocol (`center`, `ten-crop`, `multi-scale`): the numbers of an `evaluation`.

        Args:
            task: That of the run.

        Raises:
            InputError: evaluation.json is damaged.
        """
        try:
            content = self._json(self.evaluation_file) or {}
            return {protocol: evaluation(entry, task) for protocol, entry in content.items()}
        except ValueError as error:
            again = f"remove it, and evaluate again: lit-resnet evaluate {shlex.quote(str(self.path))}"
            raise InputError(f"{self.evaluation_file}: {error}; {again}") from None

    # -- writing: for the holder of the lock

    def write_status(self, status: Status) -> None:
        """Replace status.json, stamped with the time."""
        status.heartbeat = time.time()
        writing.replace(self.status_file, json.dumps(asdict(status), indent=1) + "\n")

    def write_summary(self, summary: Summary) -> None:
        """Replace summary.json."""
        writing.replace(self.summary_file, json.dumps(summary.content(), indent=1) + "\n")

    def add_evaluations(
        self, found: Mapping[str, Mapping[str, Any]], checkpoint: str, task: Task = CLASSIFICATION
    ) -> None:
        """Add entries to evaluation.json, by protocol, beside those of the same checkpoint; others go.

        For who judges the run, too.

        Raises:
            InputError: The file is damaged.
            OSError: The disk is full or away, or the folder cannot be written.
        """
        known = self.evaluations(task).items()
        same = {protocol: entry for protocol, entry in known if entry.get("checkpoint") == checkpoint}
        writing.replace(self.evaluation_file, json.dumps(same | dict(found), indent=1) + "\n")


def evaluation(value: Any, task: Task) -> dict[str, Any]:
    """An entry of evaluation.json, with its numbers as floats.

    These are the task's judged metrics (None where an optional one was not measured), images, views, data, checkpoint
    and date; of detectors also `ap`, the average precision of each class in percent, None for one without objects.

    Raises:
        ValueError: It is no such entry.
    """
    known = value if isinstance(value, dict) else {}
    images = known.get("images")
    if type(images) is not int or not 0 <= images <= summary.MOST:
        raise ValueError("damaged")
    numbers: dict[str, Any] = {metric.name: _judged(metric, known.get(metric.name)) for metric in task.judged}
    if "ap" in known:
        classes = known["ap"]
        if not isinstance(classes, dict) or len(classes) > MOST_CLASSES:
            raise ValueError(f"damaged (ap is {shown(classes)})")
        numbers["ap"] = {name: _judged(replace(CLASS_AP, name=f"ap.{name}"), ap) for name, ap in classes.items()}
    return {**known, **numbers}


def _judged(metric: Metric, found: Any) -> float | None:
    if isinstance(found, int | float) and type(found) is not bool and metric.low <= found <= metric.high:
        return float(found)
    if found is None and metric.optional:
        return None
    raise ValueError(f"damaged ({printable(metric.name)} is {shown(found)})")
