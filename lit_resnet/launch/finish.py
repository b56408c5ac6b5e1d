"""When the runs of a grid have ended: its ensembles are judged."""

from collections.abc import Callable
from pathlib import Path

from lit_resnet.grid import ensembles
from lit_resnet.grid.grid import Grid
from lit_resnet.launch import pool, worker


def judge_ensembles(grid: Grid, root: Path, say: Callable[[str], None]) -> list[str]:
    """Judge those whose runs are all finished; from the scores that the runs have left, if they have.

    Needs the pool's server.

    Returns:
        The names of those that could not be judged.
    """
    wanted = ensembles.ready(grid, root)
    if not wanted:
        return []
    names = ", ".join(ensemble.name for ensemble in wanted)
    say(f"judging the ensemble {names}")
    process = pool.CONTEXT.Process(target=worker.judge_ensembles, args=(grid, wanted, root))
    process.start()
    try:
        process.join()
    finally:
        process.terminate()  # at Ctrl-C; what it has scored by then is kept
    return [] if process.exitcode == worker.DONE else [f"the ensemble {names}"]
