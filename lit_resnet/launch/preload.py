"""What the pool's fork server imports once for all runs: the modules, and which code they are.

Files may be edited while a launch goes on. Its later runs are forked from here, so they still train with these modules,
and record this code.
"""

from lit_resnet.run import evaluate, run
from lit_resnet.runfolder import provenance

__all__ = ["evaluate", "run"]

provenance.code()
provenance.of_package()
