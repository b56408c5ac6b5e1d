"""The run folder: all that passes between training and what comes after it::

    runs/<grid>/<cell>-seed<k>/
      config.yaml     the complete config; `lit-resnet fit --config config.yaml` repeats the run
      cell.yaml       of a launched run: what its grid said
      status.json     queued | running | done | failed, progress, attempts, heartbeat, host, versions, git commit
      metrics.csv     one row per logged step
      summary.json    final numbers, written last: a run that has it is done
      responses.csv   layer responses (Fig. 7)
      signals.csv     if asked for: variance and gradient of each layer's response while training (Sec. 4.1)
      evaluation.json if asked for: errors by ten crops or many scales (Sec. 3.4)
      scores/         what these were averaged from: one row of class scores for each image
      checkpoints/    last.ckpt and the one before it
      log.txt         what the run printed
      wandb/          what W&B's client keeps of it
      stop            somebody has asked it to stop
      .lock           whose process trains it

Every file is replaced as a whole, or grows by whole lines, so that a kill at any instant leaves the folder readable.
Needs neither torch nor pandas.
"""

import csv
import json
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, get_args

from lit_resnet.errors import InputError
from lit_resnet.files import FOR_A_WHILE, append_whole, read_json, read_yaml, write_whole
from lit_resnet.runfolder.lock import Lock
from lit_resnet.runfolder.status import STATUS_KINDS, State, Status

# Columns of metrics.csv. Errors in percent; train_* over the batches of the logging window, as they were trained.
METRICS = ("step", "train_loss", "train_error", "lr", "images_per_second", "test_loss", "test_error", "val_error")
RESPONSES = ("layer", "name", "std")
SIGNALS = ("step", "layer", "name", "variance", "gradient")
# What a summary.json must have to be one: words and numbers.
SUMMARY_WORDS = ("net", "family", "shortcut", "data")
SUMMARY_NUMBERS = (
    "depth", "params", "macs", "steps", "batch_size", "test_error", "train_error", "wall_seconds",
)  # fmt: skip


class GivenUp(InputError):
    """The run dies again and again without getting any further."""


class RunFolder:
    """One run's folder. Reading needs no lock; whoever trains holds `locked()`."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.config_file = self.path / "config.yaml"
        self.cell_file = self.path / "cell.yaml"
        self.status_file = self.path / "status.json"
        self.metrics_file = self.path / "metrics.csv"
        self.summary_file = self.path / "summary.json"
        self.responses_file = self.path / "responses.csv"
        self.signals_file = self.path / "signals.csv"
        self.evaluation_file = self.path / "evaluation.json"
        self.scores = self.path / "scores"
        self.log_file = self.path / "log.txt"
        self.checkpoints = self.path / "checkpoints"
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
        if status.state not in get_args(State) or not all(
            isinstance(getattr(status, name), kind) for kind, names in STATUS_KINDS.items() for name in names
        ):
            raise self._damaged(self.status_file)
        return status

    def summary(self) -> dict[str, Any] | None:
        """The final numbers, or None while the run is not done.

        Raises:
            InputError: summary.json is damaged, or lacks a number that a table needs.
        """
        summary = self._json(self.summary_file)
        if summary is None:
            return None
        numbers = [summary.get(key) for key in SUMMARY_NUMBERS]
        if not all(key in summary for key in SUMMARY_WORDS) or not all(isinstance(n, int | float) for n in numbers):
            raise self._damaged(self.summary_file)
        return summary

    def _damaged(self, path: Path, where: str = "") -> InputError:
        return InputError(f"{path}{where}: damaged; move {self.path} away and launch again")

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
        found = read_json(self.evaluation_file) or {}
        if not all(map(is_evaluation, found.values())):
            raise InputError(f"{self.evaluation_file}: damaged; remove it and evaluate again")
        return found

    def metrics(self) -> list[dict[str, float | None]]:
        """Rows of metrics.csv in the order of their steps; None where a value was not measured.

        Raises:
            InputError: The file has a line that is not a row of numbers.
        """
        return self._csv(self.metrics_file, METRICS)

    def responses(self) -> list[dict[str, Any]]:
        """Rows of responses.csv: layer (from 1), name, std. Empty where they were not measured.

        Raises:
            InputError: The file has a line that is not a row of it.
        """
        return self._csv(self.responses_file, RESPONSES)

    def signals(self) -> list[dict[str, Any]]:
        """Rows of signals.csv: step, layer (from 1), name, variance, gradient. Empty where they were not measured.

        Raises:
            InputError: The file has a line that is not a row of it.
        """
        return self._csv(self.signals_file, SIGNALS)

    def _csv(self, path: Path, columns: tuple[str, ...]) -> list[dict[str, Any]]:
        try:
            text = path.read_text()
        except FileNotFoundError:
            return []
        except (OSError, UnicodeDecodeError):
            raise self._damaged(path) from None
        whole = text[: text.rfind("\n") + 1]  # a line still being written is not there yet
        rows = []
        for number, row in enumerate(csv.DictReader(whole.splitlines()), start=2):
            try:
                if list(row) != list(columns):
                    raise ValueError
                rows.append({key: value if key == "name" else _number(key, value) for key, value in row.items()})
            except (TypeError, ValueError):
                raise self._damaged(path, f", line {number}") from None
        return rows

    # -- writing: for the holder of the lock

    def write_status(self, status: Status) -> None:
        """Replace status.json, stamped with the time."""
        status.heartbeat = time.time()
        write_whole(self.status_file, json.dumps(asdict(status), indent=1) + "\n")

    def write_summary(self, summary: dict[str, Any]) -> None:
        """Replace summary.json."""
        write_whole(self.summary_file, json.dumps(summary, indent=1) + "\n")

    def write_responses(self, responses: list[tuple[str, float]]) -> None:
        """Replace responses.csv with (name, std) in the order of the layers."""
        lines = [",".join(RESPONSES)] + [f"{i},{name},{std:.9g}" for i, (name, std) in enumerate(responses, start=1)]
        write_whole(self.responses_file, "\n".join(lines) + "\n")

    def write_signals(self, rows: list[dict[str, Any]]) -> None:
        """Replace signals.csv."""
        write_whole(self.signals_file, _line(SIGNALS) + "".join(map(_signals_line, rows)))

    def append_signals(self, rows: list[dict[str, Any]]) -> None:
        """Append the rows of one iteration, as one write."""
        append_whole(self.signals_file, "".join(map(_signals_line, rows)))

    def write_metrics(self, rows: list[dict[str, float]]) -> None:
        """Replace metrics.csv."""
        write_whole(self.metrics_file, _line(METRICS) + "".join(map(_metrics_line, rows)))

    def append_metrics(self, row: dict[str, float | None]) -> None:
        """Append one row, as one write."""
        append_whole(self.metrics_file, _metrics_line(row))


def is_evaluation(value: Any) -> bool:
    """Whether that is what an evaluation found: a mapping with its errors in percent."""
    if not isinstance(value, dict) or not isinstance(value.get("images"), int):
        return False
    return all(
        isinstance(value.get(f"top{k}_error"), kinds) for k, kinds in ((1, int | float), (5, int | float | None))
    )


def _number(key: str, text: str) -> float | int | None:
    if key in ("step", "layer"):
        return int(text)
    return float(text) if text else None


def _line(values: tuple[str, ...]) -> str:
    return ",".join(values) + "\n"


def _signals_line(row: dict[str, Any]) -> str:
    return _line((str(row["step"]), str(row["layer"]), row["name"], f"{row['variance']:.9g}", f"{row['gradient']:.9g}"))


def _metrics_line(row: dict[str, float | None]) -> str:
    # repr keeps every bit, so that rewriting a file on resume changes nothing.
    return _line(tuple("" if row.get(key) is None else repr(row[key]) for key in METRICS))
