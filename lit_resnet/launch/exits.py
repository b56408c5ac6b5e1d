"""Exit codes, by which the process of a run tells the pool, job script or scheduler that started it how it ended."""

from enum import IntEnum

from lit_resnet.runfolder.lock import LOST


class Exit(IntEnum):
    """Exit codes of a process that trains, and of `lit-resnet run`. With any other it died, and may be tried again."""

    DONE = 0
    FAILED = 1  # for good: another try would end the same way
    DIED = 70
    STOPPED = 75  # it was asked to stop, has saved, and wants another turn
    IN_USE = LOST  # another process trains the run, or has taken it over
    OUT_OF_MEMORY = 77
    DISK_FULL = 78
    INTERRUPTED = 130  # Ctrl-C; it has saved
    TERMINATED = 143  # SIGTERM; it has saved
