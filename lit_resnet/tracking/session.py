"""How this process reaches W&B: online for as long as that works, offline from then on."""

import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lit_resnet.errors import InputError, Unreachable
from lit_resnet.tracking.entry import Entry

if TYPE_CHECKING:
    import wandb

PROJECT = "lit-resnet"
STEP = "trainer/global_step"  # what metrics are drawn against: the iteration, by Lightning's name
# Seconds. At the end of a launch whose server is away a person waits for less than a minute: `beside.PATIENCE`.
INIT_TIMEOUT, FINISH_TIMEOUT = 15.0, 20.0
ANSWER_TIMEOUT, ANSWER_RETRIES = 10.0, 1


class Session:
    """Starts runs of W&B.

    Args:
        online: Whether to reach for the server, or to write files for it.
        folder: Where W&B may keep what it needs besides the runs.
        finish_timeout: Seconds that the end of a run may take.
    """

    def __init__(self, online: bool, folder: Path, finish_timeout: float) -> None:
        os.environ |= {"WANDB_DATA_DIR": str(folder), "WANDB_CACHE_DIR": str(folder)}  # its default is the home folder
        for name in ("WANDB_SWEEP_ID", "WANDB_RUN_ID", "WANDB_RESUME"):  # they would give our runs another name
            os.environ.pop(name, None)
        self.online, self.finish_timeout = online, finish_timeout

    def start(self, entry: Entry, folder: Path) -> "wandb.Run":
        """Start a run whose files lie in `folder`; if the server has it, it continues there after its last row.

        `run.config` holds what the server knows, so that callers can compare it. Raises whatever W&B's client raises.
        """
        import wandb

        for old in folder.glob(f"wandb/*run-*-{entry.id}"):  # of earlier attempts, whose rows are all sent again
            shutil.rmtree(old)
        folder.mkdir(exist_ok=True)
        run = wandb.init(
            id=entry.id,
            group=entry.group,
            name=entry.name,
            job_type=entry.job_type,
            tags=entry.tags,
            project=project(),
            dir=folder,
            mode="online" if self.online else "offline",
            resume="allow" if self.online else None,
            reinit="create_new",
            settings=self._settings(),
        )
        run.define_metric(STEP, hidden=True)
        run.define_metric("*", step_metric=STEP)
        return run

    def give_up(self) -> None:
        """Go offline. The runs that were started are dead; the files that they wrote stay."""
        import wandb

        self.online = False
        wandb.teardown(exit_code=1)  # without this, the client refuses to start runs with their ids

    def _settings(self) -> "wandb.Settings":
        """Bounded waits, no output, no facts about this process, which does not train: `entry` has those of the run."""
        import wandb

        return wandb.Settings(
            silent=True,
            console="off",
            init_timeout=INIT_TIMEOUT,
            finish_timeout=self.finish_timeout,
            finish_timeout_raises=True,
            disable_git=True,
            x_disable_meta=True,
        )


@contextmanager
def reaching() -> Iterator[None]:
    """Turn whatever W&B's client raises, which has many types, into Unreachable.

    Raises:
        OSError: Of a file of ours, which is not W&B's fault: those of a network name no file.
    """
    try:
        yield
    except (InputError, Unreachable):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno and error.filename:
            raise
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        raise Unreachable(_in_short(error)) from None


def _in_short(error: Exception) -> str:
    """The part of a long error of W&B's client that a user can act on."""
    text = str(error)
    if "API key must" in text:
        return text.strip()
    if re.search(r"\b40[13]\b|not logged in|permission", text, re.IGNORECASE):
        return "the server does not take the key, or not for this project"
    return "the server does not answer"


def wanted() -> Literal["online", "offline", "disabled"]:
    """What the environment says (WANDB_MODE, as W&B reads it), or else whether the user is logged in.

    Raises:
        Unreachable: The key is not of the form of a key.
    """
    import wandb

    _bound_waits()
    said = wandb.setup().settings.mode
    if said in ("offline", "disabled"):
        return said
    if os.environ.get("WANDB_MODE") == "online":
        return "online"
    with reaching():
        return "online" if wandb.login(prompt=False, verify=False) else "offline"


def project() -> str:
    """The project that runs go to."""
    return os.environ.get("WANDB_PROJECT", PROJECT)


def entity() -> str:
    """Whose project it is: a team's, if the environment says so, or the user's own.

    Raises:
        InputError: The user is not logged in, or W&B knows no default team or user for the key.
        Unreachable: The server does not answer, or does not take the key.
    """
    if entity := os.environ.get("WANDB_ENTITY") or reader().default_entity:
        return entity
    raise InputError("W&B: the key has no default team or user: set WANDB_ENTITY")


def reader() -> "wandb.Api":
    """W&B's client for reading, with bounded waits.

    Raises:
        InputError: The user is not logged in.
        Unreachable: The server does not answer, or does not take the key.
    """
    import wandb

    os.environ["WANDB_MODE"] = "online"  # whatever the shell sets for launches
    _bound_waits()
    with reaching():
        if not wandb.login(prompt=False, verify=False):
            raise InputError("W&B: not logged in: run wandb login, or set WANDB_API_KEY")
        return wandb.Api(timeout=int(ANSWER_TIMEOUT))


def _bound_waits() -> None:
    """Bound the waits of all requests that the client makes on its own; by default some never end."""
    import wandb

    os.environ["WANDB_SILENT"] = "true"
    wandb.setup(settings=wandb.Settings(x_graphql_timeout_seconds=ANSWER_TIMEOUT, x_graphql_retry_max=ANSWER_RETRIES))
