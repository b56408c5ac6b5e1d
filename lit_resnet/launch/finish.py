"""The end of a launch: the ensembles of a grid are judged when its runs have ended."""

from collections.abc import Callable

from lit_resnet.grid import ensembles
from lit_resnet.grid.asked import Asked
from lit_resnet.launch import pool, worker
from lit_resnet.launch.exits import Exit


def judge_ensembles(asked: Asked, say: Callable[[str], None]) -> list[str]:
    """Judge the ensembles whose runs are all finished, by the scores in the run folders where there are some.

    Needs the pool's server.

    Returns:
        The names of the ensembles that could not be judged.
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
        process.terminate()  # at Ctrl-C; the scores that it has by then are kept
    return [] if process.exitcode == Exit.DONE else [f"the ensemble {names}"]
