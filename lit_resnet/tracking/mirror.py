"""One run of W&B, made from one run folder: while the run trains, and whole when it is done."""

import hashlib
import io
from collections.abc import Callable, Container, Iterable, Mapping
from contextlib import ExitStack
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from lit_resnet import paper
from lit_resnet.errors import InputError
from lit_resnet.grid import ensembles
from lit_resnet.grid.asked import Asked
from lit_resnet.grid.cells import Cell
from lit_resnet.grid.grid import Ensemble
from lit_resnet.metrics import TEST_ERROR, listed
from lit_resnet.report.runs import FinishedRun, Run
from lit_resnet.runfolder.lock import InUse, Lock
from lit_resnet.runfolder.records import ANALYSES, Row, metrics
from lit_resnet.runfolder.summary import Summary
from lit_resnet.tracking import entry
from lit_resnet.tracking.session import STEP, Session, reaching

if TYPE_CHECKING:
    import wandb

UNDER_WAY = ("running", "stalled")
OVER = ("done", "failed")


class Mirror:
    """Tells W&B what is in the run folder of a cell.

    Rows of metrics.csv become rows of W&B with the iteration as step. So the server knows its last row, and the mirror
    sends those after it, no matter which process sent the others. The newest row waits until another follows, or the
    run is over: an evaluation at its iteration may still be added to it.
    """

    def __init__(self, asked: Asked, cell: Cell, session: Session) -> None:
        self.grid, self.cell, self.session = asked.grid, cell, session
        self.folder = asked.folder(cell)
        self.record = metrics(self.grid.task)
        self.run: wandb.Run | None = None
        self.told: str | None = None  # the digest of the run that is over, once W&B was told of it
        self.url: str | None = None
        self._sent = -1
        self._seen: tuple[int, int] | None = None

    def look(self, state: str) -> None:
        """Tell W&B what is new of a run in `state`, one of those of `lit-resnet status`.

        Raises:
            Unreachable: The server does not answer, or does not take it.
            InputError: The folder is damaged, or W&B has another training by that id.
        """
        with reaching():
            if state in UNDER_WAY:
                if run := self.run or self._open():
                    self._rows(run, whole=False)
            elif state in OVER:
                self._tell_end(state)
            else:
                self.leave(state)

    def leave(self, state: str = "stopped") -> None:
        """Close the run in W&B for now: its training has stopped, or this process ends.

        Raises:
            Unreachable: W&B does not take it.
        """
        with reaching():
            if self.run:
                self._rows(self.run, whole=False)
                self.run.summary["state"] = state
                self.run.mark_preempting()
                self._close(self.run, 1)

    def drop(self) -> None:
        """Forget a run of W&B that is dead; the next look starts another."""
        if self.run:
            self.run = None
            self._held.close()

    def digest(self, state: str) -> str:
        """A hash that changes when there is something new in the folder of a run that is over."""
        files = (self.folder.summary_file, self.folder.evaluation_file)
        content = b"".join(file.read_bytes() for file in files if file.exists())
        return f"{state}-{hashlib.sha256(content).hexdigest()[:16]}"

    def id(self) -> str:
        """The run's id in W&B.

        Raises:
            InputError: The folder is damaged.
        """
        return entry.of_run(self.grid, self.cell, self.folder).id

    def _open(self) -> "wandb.Run | None":
        """Start the run in W&B; None where it is too early, or another process mirrors it."""
        if not (self.folder.config_file.exists() and self.folder.cell_file.exists()):  # it is just beginning
            return None
        self._held = ExitStack()
        try:
            self._held.enter_context(Lock(self.folder.path / ".wandb.lock").held(timeout=0))
        except InUse:  # the process beside another launch mirrors it
            return None
        try:
            known = entry.of_run(self.grid, self.cell, self.folder)
            run = self.session.start(known, self.folder.path)
            other = run.config.get("started", known.config["started"])
            if run.resumed and other != known.config["started"]:
                run.finish(exit_code=0)
                raise InputError(
                    f"{run.url} is of another training of the same cell; delete it there, or set WANDB_PROJECT"
                )
        except BaseException:
            self._held.close()
            raise
        run.config.update(known.config, allow_val_change=True)
        run.summary["state"] = "running"
        self.run, self.url = run, run.url if self.session.online else None
        self._sent, self._seen = run.starting_step - 1, None
        return run

    def _rows(self, run: "wandb.Run", whole: bool, media: Callable[[], dict[str, Any]] = dict) -> None:
        """Send the new rows: if the run is over (`whole`) all, the last with `media`; otherwise all but the last."""
        try:
            found = self.record.file(self.folder.path).stat()
        except FileNotFoundError:
            return
        seen = (found.st_mtime_ns, found.st_size)
        if seen == self._seen and not whole:
            return
        self._seen = seen
        *rows, last = self.record.read(self.folder.path) or [{"step": 0}]
        for row in rows:
            self._row(run, row)
        if whole:
            self._row(run, last, media())

    def _row(self, run: "wandb.Run", row: Row, media: Mapping[str, Any] = MappingProxyType({})) -> None:
        values = {name: value for name, value in row.items() if value is not None and name != "step"}
        values = {STEP: row["step"], **values} if row["step"] > self._sent else {}
        if values or media:
            self._sent = max(row["step"], self._sent + (not values))
            run.log({**values, **media}, step=self._sent, commit=True)

    def _tell_end(self, state: str) -> None:
        digest = self.digest(state)
        if self.told == digest or not (run := self.run or self._open()):
            return
        if (known := run.summary.get("mirror") or "") != digest:
            self._rows(run, whole=state == "done", media=dict if known.startswith("done") else self._media)
            run.summary.update(self._summary(state) | {"mirror": digest})
        self._close(run, 0 if state == "done" else 1)
        self.told = digest

    def _summary(self, state: str) -> dict[str, Any]:
        """Final numbers, those of summary.json by their names; beside them what they are compared with."""
        status, summary = self.folder.status(), self.folder.summary()
        found = {"state": state, "attempts": status.attempts, "error": status.error}
        run = Run(self.cell.name, self.cell.seed, state, self.folder, self.grid.task, summary)
        last = {name: values[-1] for name, (_, values) in run.curve.items()}
        found |= {f"best_{metric.name}": run.best(metric) for metric in listed(self.grid.task.final, [last])}
        if summary:
            found |= summary.content() | {"gflops": summary.macs / 1e9, "made_with": summary.origin}
            del found["config"]  # which W&B has of every run: see `entry.of_run`
            found |= {f"paper/{name}": value for name, value in paper_numbers(summary).items()}
        for protocol, judged in self.folder.evaluations(self.grid.task).items():
            found[f"evaluation/{protocol}"] = judged
        return found

    def _media(self) -> dict[str, Any]:
        """The run's tables, and the figures that are drawn from one run alone."""
        import wandb
        from PIL import Image

        from lit_resnet.report import figures
        from lit_resnet.report.figures.drawing import render

        media: dict[str, Any] = {}
        summary = self.folder.summary()
        assert summary is not None  # the run is done: see `_rows`
        run = FinishedRun(self.cell.name, self.cell.seed, "done", self.folder, self.grid.task, summary)
        for drawing in figures.of_run(run):
            picture = Image.open(io.BytesIO(render(drawing, "png")))
            media[drawing.name] = wandb.Image(picture, caption=f"{self.folder.path.name}: {drawing.title}")
        for record in ANALYSES:
            if rows := record.read(self.folder.path):
                data: list[Iterable[Any]] = [[row[column] for column in record.columns] for row in rows]
                media[record.mirrored or record.name] = wandb.Table(columns=list(record.columns), data=data)
        return media

    def _close(self, run: "wandb.Run", code: int) -> None:
        run.finish(exit_code=code)
        self.drop()


def tell_ensemble(asked: Asked, ensemble: Ensemble, session: Session, known: Container[str] = ()) -> str | None:
    """Tell W&B the errors of an ensemble.

    Args:
        asked: Its grid.
        ensemble: The ensemble.
        session: How to reach W&B.
        known: Ids of the runs that W&B has.

    Returns:
        The address of its run; None where there is nothing to tell.

    Raises:
        Unreachable: The server does not answer, or does not take it.
        InputError: Its file is damaged.
    """
    found = ensembles.found(asked.grid, ensemble, asked.root)
    if not found or (what := entry.of_ensemble(asked.grid, ensemble, found)).id in known:
        return None
    with reaching():
        run = session.start(what, asked.home / "ensembles")
        run.config.update(what.config, allow_val_change=True)
        url = run.url if session.online else None
        run.summary.update(found | {"state": "done"})
        run.finish(exit_code=0)
    return url


def paper_numbers(summary: Summary) -> dict[str, float]:
    """What the paper printed of exactly that net: test_error (best, and mean of several), params (10^6), gflops.

    Of a detector on it, mAP by protocol: `voc07/map50`.
    """
    if TEST_ERROR not in summary.kind.final:
        detected = paper.detected(summary.net_config, summary.data)
        return {f"{protocol}/{name}": value for protocol, row in detected.items() for name, value in row.items()}
    printed = paper.of(summary.net_config, summary.data)
    found = {
        "test_error": printed.error and printed.error.best,
        "mean_test_error": printed.error and printed.error.mean,
        "params": printed.params,
        "gflops": printed.gflops,
    }
    return {name: value for name, value in found.items() if value is not None}
