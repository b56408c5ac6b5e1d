"""`lit-resnet wandb sync`: tell W&B of all runs of a grid that are over and that it does not have yet."""

from collections.abc import Callable
from dataclasses import dataclass, field

from lit_resnet.errors import InputError
from lit_resnet.grid import status
from lit_resnet.grid.asked import Asked
from lit_resnet.tracking import session
from lit_resnet.tracking.mirror import OVER, Mirror, tell_ensemble
from lit_resnet.tracking.session import Session

FINISH_TIMEOUT = 600.0  # seconds: no training waits for it


@dataclass
class Synced:
    """What became of a grid's runs.

    Args:
        told: Names of run folders and ensembles that W&B was told of now.
        known: Those that it knew already.
        waiting: Run folders whose run is not over.
        refused: Run folders and ensembles that could not be told, each with the reason.
    """

    told: list[str] = field(default_factory=list)
    known: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)


def sync(asked: Asked, say: Callable[[str], None]) -> Synced:
    """Tell W&B of the runs of a grid, from their folders; `say` takes a line for each.

    Raises:
        InputError: No such grid, no run of it that is over, or the user is not logged in.
        Unreachable: The server does not answer, or does not take the key.
    """
    grid, found = asked.grid, Synced()
    states = {(row["cell"], row["seed"]): row["state"] for row in status.rows(grid, asked.root)}
    if not any(state in OVER for state in states.values()):
        raise InputError(f"no finished runs of {grid.name} in {asked.home}; start them: {asked.command('launch')}")
    online = Session(True, asked.home / "wandb", FINISH_TIMEOUT)
    known = _known(grid.name)
    for cell in grid.cells:
        mirror, state = Mirror(asked, cell, online), states[cell.name, cell.seed]
        if state not in OVER:
            found.waiting.append(cell.folder)
            continue
        try:
            if known.get(mirror.id()) == mirror.digest(state):
                found.known.append(cell.folder)
                continue
            mirror.look(state)
        except InputError as error:
            found.refused[cell.folder] = str(error)
            continue
        if mirror.told:
            found.told.append(cell.folder)
            say(f"{cell.folder}: {mirror.url}")
        else:
            found.refused[cell.folder] = "another process is telling W&B of it"
    for ensemble in grid.ensembles:
        if url := tell_ensemble(asked, ensemble, online, known):
            found.told.append(ensemble.name)
            say(f"{ensemble.name}: {url}")
    return found


def _known(group: str) -> dict[str, str | None]:
    """What W&B knows of the runs of a group: the digest of each by its id."""
    with session.reaching():
        runs = session.reader().runs(session.project(), filters={"group": group}, per_page=200)
        try:
            return {run.id: run.summary_metrics.get("mirror") for run in runs}
        except ValueError:  # there is no such project yet
            return {}
