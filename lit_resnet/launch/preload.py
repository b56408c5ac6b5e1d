"""What the pool's fork server imports once for all runs: the modules, and which code they are.

Files may be edited while a launch goes on. Its later runs are forked from here, so they still train with these modules,
and record this code.

None of the million objects that the imports make is garbage: to look for some, again and again, takes a quarter of
their time. Nor do the runs look there; so they also share this memory.
"""

import atexit
import gc

gc.disable()
try:
    from lit_resnet.run import evaluate, run
    from lit_resnet.runfolder import provenance

    provenance.code()
    provenance.of_package()
    provenance.installed()
    gc.freeze()
    atexit.register(gc.unfreeze)  # libraries complain of what is left when Python ends
finally:
    gc.enable()

__all__ = ["evaluate", "run"]
