"""All checks, one after the other, each in a process of its own."""

import os
from collections.abc import Callable, Collection, Iterator

from lit_resnet.doctor.alone import Broken, alone
from lit_resnet.doctor.checks import CHECKS, Check
from lit_resnet.doctor.finding import Finding, Site, wrong
from lit_resnet.launch.pool import start_server


def examine(site: Site, names: Collection[str], say: Callable[[str], None]) -> Iterator[tuple[Check, Finding]]:
    """Make the checks with these names.

    Args:
        site: What is examined.
        names: Names of checks; none stands for all.
        say: Takes a line about what is being looked at.
    """
    os.environ.setdefault("WANDB_SILENT", "true")
    start_server()
    for check in CHECKS:
        if names and check.name not in names:
            continue
        say(f"{check.name}: {check.what}")
        try:
            found = alone(check, site, seconds=check.seconds)
        except Broken as error:
            found = [wrong(str(error), check.todo)]
        for finding in found:
            yield check, finding
