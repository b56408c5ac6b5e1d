"""How the process of a run ends, for whoever has started it: a pool, a job's script, or another scheduler."""

from enum import IntEnum

from lit_resnet.runfolder.lock import LOST


class Exit(IntEnum):
    """Exit codes of a process that trains, and of `lit-resnet run`; by any other it died, and may be tried again."""

    DONE = 0
    FAILED = 1  # something is wrong that trying again does not change
    DIED = 70
    STOPPED = 75  # it was asked to stop, has saved, and wants another turn
    IN_USE = LOST  # another process trains the run, or has taken it over
    OUT_OF_MEMORY = 77
    DISK_FULL = 78
    INTERRUPTED = 130  # Ctrl-C; it has saved
    TERMINATED = 143  # SIGTERM; it has saved
