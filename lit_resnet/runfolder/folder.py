"""The run folder: all that passes between training and what comes after it::

    runs/<grid>/<cell>-seed<k>/
      config.yaml     the complete config; `lit-resnet fit --config config.yaml` repeats the run
      cell.yaml       of a launched run: what its grid said
      status.json     queued | running | done | failed, progress, attempts, heartbeat, host, versions, git commit
      metrics.csv     one row per logged step (this and the other tables: see records.py)
      summary.json    what was trained, and the final numbers; written last: a run that has it is done
      responses.csv   layer responses (Fig. 7)
      signals.csv     if asked for: variance and gradient of each layer's response while training (Sec. 4.1)
      evaluation.json if asked for: errors by ten crops or many scales (Sec. 3.4)
      scores/         what these were averaged from: one row of class scores for each image
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
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, get_args

from lit_resnet.errors import InputError
from lit_resnet.files import FOR_A_WHILE, read_json, read_yaml, write_whole
from lit_resnet.metrics import TOP1_ERROR, TOP5_ERROR
from lit_resnet.runfolder.lock import Lock
from lit_resnet.runfolder.status import STATUS_KINDS, State, Status
from lit_resnet.runfolder.summary import Summary, parse
from lit_resnet.task import TASKS


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
        self._lock = Lock(self.path / ".lock")

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
        known = self._json(self.status_file) or {}
        names = {f.name for f in fields(Status)}
        status = Status(**{name: value for name, value in known.items() if name in names})
        sound = all(isinstance(getattr(status, name), kind) for kind, names in STATUS_KINDS.items() for name in names)
        if not sound or status.state not in get_args(State) or status.task not in TASKS or not _numbers(status.newest):
            raise self._damaged(self.status_file)
        return status

    def summary(self) -> Summary | None:
        """What a finished run says of itself; None while the run is not done.

        Raises:
            InputError: summary.json is damaged, or was written by an earlier version.
        """
        content = self._json(self.summary_file)
        try:
            return None if content is None else parse(content)
        except ValueError as error:
            raise InputError(f"{self.summary_file}: {error}; move {self.path} away and launch again") from None

    def _damaged(self, path: Path) -> InputError:
        return InputError(f"{path}: damaged; move {self.path} away and launch again")

    def _json(self, path: Path) -> dict[str, Any] | None:
        try:
            return read_json(path)
        except InputError:
            raise self._damaged(path) from None

    def evaluations(self) -> dict[str, dict[str, Any]]:
        """By protocol (`center`, `ten-crop`, `multi-scale`): top1_error, top5_error (percent, or None), images, ...

        Raises:
            InputError: evaluation.json is damaged.
        """
        found = {}
        for protocol, entry in (read_json(self.evaluation_file) or {}).items():
            if (known := evaluation(entry)) is None:
                raise InputError(f"{self.evaluation_file}: damaged; remove it and evaluate again")
            found[protocol] = known
        return found

    # -- writing: for the holder of the lock

    def write_status(self, status: Status) -> None:
        """Replace status.json, stamped with the time."""
        status.heartbeat = time.time()
        write_whole(self.status_file, json.dumps(asdict(status), indent=1) + "\n")

    def write_summary(self, summary: Summary) -> None:
        """Replace summary.json."""
        write_whole(self.summary_file, json.dumps(summary.content(), indent=1) + "\n")


def evaluation(value: Any) -> dict[str, Any] | None:
    """An entry of evaluation.json with its errors as floats; None where `value` is no such entry."""
    if not isinstance(value, dict) or not isinstance(value.get("images"), int):
        return None
    errors = {}
    for error in (TOP1_ERROR, TOP5_ERROR):
        found = value.get(error.name)
        if not isinstance(found, int | float) and not (found is None and error.optional):
            return None
        errors[error.name] = None if found is None else float(found)
    return {**value, **errors}


def _numbers(values: dict[str, Any]) -> bool:
    return all(isinstance(value, int | float) for value in values.values())
