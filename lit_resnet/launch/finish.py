"""When the runs of a grid have ended: its ensembles are judged."""

from collections.abc import Callable

from lit_resnet.grid import ensembles
from lit_resnet.grid.asked import Asked
from lit_resnet.launch import pool, worker
from lit_resnet.launch.exits import Exit


def judge_ensembles(asked: Asked, say: Callable[[str], None]) -> list[str]:
    """Judge those whose runs are all finished; from the scores that the runs have left, if they have.

    Needs the pool's server.

    Returns:
        The names of those that could not be judged.
    """
    wanted = ensembles.ready(asked.grid, asked.root)
    if not wanted:
        return []
    names = ", ".join(ensemble.name for ensemble in wanted)
    say(f"judging the ensemble {names}")
    process = pool.CONTEXT.Process(target=worker.judge_ensembles, args=(asked.grid, wanted, asked.root))
    process.start()
    try:
        process.join()
    finally:
        process.terminate()  # at Ctrl-C; what it has scored by then is kept
    return [] if process.exitcode == Exit.DONE else [f"the ensemble {names}"]
