"""What works on this machine, and what to set for it: `lit-resnet doctor`.

::

    checks ──► examination ──► findings ──► settings
    (a table)  (each check in    (one line    (what launch and the
                its own process)  each)        cluster file should say)

A check is a function that looks at one thing and returns findings. Each runs in a process of its own with a limit of
time: a driver that crashes or a disk that hangs ends one check, not the doctor. To add a check, write the function and
enter it in `checks.CHECKS`.
"""
