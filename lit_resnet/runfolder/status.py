"""What status.json holds: how far a run is, and how its attempts ended."""

from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args

from lit_resnet.errors import shown
from lit_resnet.runfolder import started
from lit_resnet.runfolder.started import Started
from lit_resnet.task import CLASSIFICATION, TASKS

State = Literal["queued", "running", "done", "failed"]

DEATHS = 3  # at the same iteration, and a run has failed


@dataclass
class Status:
    """What status.json holds. Times are seconds since the epoch.

    `task` is the task's name; `newest` has the newest values of its final metrics, by name, as far as they are known.
    `saved` is the iteration of the newest checkpoint; `deaths` counts those in a row that left `saved` at `died_at`;
    `started` is when the first attempt began; `job` is Slurm's; `digest` is of what the grid said (`sameness.digest`).
    `code` is of the package's modules, when the run was queued or when its newest attempt began (`provenance.code`);
    `machine` has facts about where that attempt runs; `own_git_...` are of the user's checkout that it is run from, if
    that is not the package's. `start` has the weights that the run began with, if they were not fresh.
    """

    state: State = "queued"
    step: int = 0
    max_steps: int = 0
    saved: int = 0
    attempts: int = 0
    started: float | None = None
    deaths: int = 0
    died_at: int | None = None
    heartbeat: float | None = None
    elapsed: float = 0.0
    task: str = CLASSIFICATION.name
    newest: dict[str, float] = field(default_factory=dict)
    error: str | None = None
    host: str | None = None
    pid: int | None = None
    job: str | None = None
    peak_memory_bytes: int | None = None
    digest: str | None = None
    versions: dict[str, str] = field(default_factory=dict)
    git_commit: str | None = None
    git_dirty: bool | None = None  # whether files differ from that commit
    own_git_commit: str | None = None
    own_git_dirty: bool | None = None
    code: str | None = None
    machine: dict[str, str | int] = field(default_factory=dict)
    start: Started | None = None

    def died(self, reason: str) -> None:
        """Count a death: the run is to go on from its checkpoint, or has failed if it never gets any further."""
        self.deaths = self.deaths + 1 if self.died_at == self.saved else 1
        self.died_at = self.saved
        self.state, self.error = "queued", reason
        if self.deaths >= DEATHS:
            self.state, self.error = "failed", f"{reason}; died {self.deaths} times from iteration {self.saved} on"


# What others calculate with and print; a folder may come from strangers.
STATUS_KINDS: dict[Any, tuple[str, ...]] = {
    str: ("task",),
    int | float: ("step", "max_steps", "saved", "attempts", "deaths", "elapsed"),
    int | float | None: ("started", "died_at", "heartbeat", "pid", "peak_memory_bytes"),
    str | None: ("error", "host", "job", "digest", "git_commit", "own_git_commit", "code"),
    bool | None: ("git_dirty", "own_git_dirty"),
    dict: ("versions", "newest", "machine"),
}
MOST = 10**18  # of a number


def parse(content: dict[str, Any]) -> Status:
    """The status that a file holds. Unknown keys are ignored.

    Raises:
        ValueError: What is wrong with it.
    """
    names = {f.name for f in fields(Status)}
    values: dict[str, Any] = {name: value for name, value in content.items() if name in names}
    values["start"] = started.parse(values.get("start"))
    status = Status(**values)
    for kind, named in STATUS_KINDS.items():
        for name in named:
            value = getattr(status, name)
            if not isinstance(value, kind) or (isinstance(value, int | float) and not 0 <= value <= MOST):
                raise ValueError(f"damaged ({name} is {shown(value)})")
    if status.state not in get_args(State):
        raise ValueError(f"damaged (state is {shown(status.state)})")
    if status.task not in TASKS:
        raise ValueError(f"damaged (task is {shown(status.task)})")
    possible = {metric.name: metric.possible for metric in TASKS[status.task].metrics}
    for name, value in status.newest.items():
        if not isinstance(value, int | float) or not possible.get(name, lambda _: True)(value):
            raise ValueError(f"damaged (newest.{shown(name)} is {shown(value)})")
    return status
