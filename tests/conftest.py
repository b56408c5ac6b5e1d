"""One thread a process: two test processes with two threads each, on two cores, would wait for each other."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
