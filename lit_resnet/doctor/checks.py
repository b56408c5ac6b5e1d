"""The checks, in the order in which they are made. Each module is imported when its check is made."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module

from lit_resnet.doctor.finding import Finding, Site


@dataclass(frozen=True)
class Check:
    """One thing to look at.

    Args:
        name: The word of the first column, and of `--only`.
        what: What is looked at, for the help.
        where: The module and the function, which takes a `Site` and returns findings.
        seconds: How long it may take; it takes a fraction of that where all is well.
        todo: What the user should do where the check itself crashes or hangs.
    """

    name: str
    what: str
    where: str
    seconds: float
    todo: str

    def __call__(self, site: Site) -> list[Finding]:
        """Make the check in this process."""
        module, _, name = self.where.partition(":")
        function: Callable[[Site], list[Finding]] = getattr(import_module(module), name)
        return function(site)


REINSTALL = "make a new environment: uv sync, or pip install lit-resnet"
DRIVER = "try another node, and tell whoever looks after this one; dmesg may say more"
ANOTHER_ROOT = "give a folder of another file system by --root"

CHECKS: Sequence[Check] = (
    Check("software", "Python, torch, its CUDA, the driver", "lit_resnet.doctor.software:look", 60, REINSTALL),
    Check("device", "memory and speed of each GPU, or of the CPU", "lit_resnet.doctor.device:look", 60, DRIVER),
    Check("precision", "are bfloat16 and TF32 right, how fast", "lit_resnet.doctor.precision:look", 60, DRIVER),
    Check("repeat", "the same training twice: the same bits?", "lit_resnet.doctor.training:repeat", 60, DRIVER),
    Check("resume", "killed and resumed: the same bits?", "lit_resnet.doctor.training:resume", 60, DRIVER),
    Check(
        "compile",
        "a compiled net: the same losses, how fast",
        "lit_resnet.doctor.training:compiled",
        150,
        "leave model.speed.compile out; it needs a C compiler, and on a GPU Triton",
    ),
    Check("side", "how many runs are best side by side", "lit_resnet.doctor.side:look", 60, DRIVER),
    Check(
        "exchange",
        "do processes of one run exchange gradients",
        "lit_resnet.doctor.exchange:look",
        60,
        "train with one device each; or set NCCL_P2P_DISABLE=1 or NCCL_SOCKET_IFNAME and try again",
    ),
    Check("images", "JPEGs, by the cores and by the GPU", "lit_resnet.doctor.images:look", 60, REINSTALL),
    Check("disk", "the runs' folder: files, locks, clock, room", "lit_resnet.doctor.disk:look", 90, ANOTHER_ROOT),
    Check(
        "slurm",
        "partitions, and whether a job would start",
        "lit_resnet.doctor.slurm:look",
        60,
        "Slurm does not answer: try again later",
    ),
    Check(
        "wandb",
        "is Weights & Biases reached, who is one there",
        "lit_resnet.doctor.tracker:look",
        60,
        "set WANDB_MODE=offline, and later lit-resnet wandb sync",
    ),
)
NAMES = tuple(check.name for check in CHECKS)
