# PYTHON_ARGCOMPLETE_OK - the word by which argcomplete knows a program that it may ask
"""The command `lit-resnet`: its verbs and its exit codes."""

import argparse
import errno
import io
import os
import sys
from collections.abc import Collection
from importlib import import_module
from types import ModuleType
from typing import NoReturn

from lit_resnet import __version__
from lit_resnet.errors import Failure, InputError, Unreachable, printable, shown
from lit_resnet.files import FOR_A_WHILE

# LightningCLI parses the arguments of these three (`verbs/fit.py`). Each other verb is a file of `verbs/`, imported
# when it is asked for.
TRAINING = {
    "fit": "train one run (LightningCLI: --config, --model.net.depth 56, --print_config, --help, ...)",
    "validate": "errors of a checkpoint on the test set, and on the held-out split if there is one",
    "test": "error of a checkpoint on the test set",
}
VERBS = TRAINING | {
    "nets": "every net of the paper: layers, parameters, multiply-adds",
    "responses": "layer responses (Fig. 7) of a run's last checkpoint",
    "lesion": "test error of runs' last checkpoints with blocks taken out: do residual nets notice?",
    "plan": "what a grid would run, what is done, the cost",
    "launch": "run the missing runs of a grid or of some cells, here or on a cluster, then report",
    "run": "train one run of a grid in the foreground, for schedulers to call",
    "status": "how far the runs are",
    "logs": "what runs of a grid have printed; --follow them",
    "cancel": "stop a grid or some of its cells, wherever they run",
    "report": "tables, figures and a page from the finished runs",
    "wandb": "Weights & Biases: sync uploads finished runs, report makes a report there",
    "evaluate": "judge models by a centre crop, ten crops or many scales, alone and as an ensemble",
    "predict": "what the net of a finished run sees in photographs or small images",
    "export": "the net of a finished run as one file: torch.export or ONNX for other programs, safetensors to pass on",
    "zoo": "the trained nets that come with the package, to predict, evaluate and start with",
    "shrink": "copy a folder of photographs with smaller training images, which are read faster",
    "doctor": "what works on this machine or a node of the cluster, and what to set",
    "bench": "training throughput of this machine, against its limits",
}

# Errors of the system about a file that cannot be what the user says it is.
UNUSABLE = (
    errno.EACCES,
    errno.EISDIR,
    errno.ELOOP,
    errno.ENAMETOOLONG,
    errno.ENOTDIR,
    errno.EPERM,
    errno.EROFS,
)


# How often a thread of OpenMP (GNU's, which torch has) looks whether the others are ready before it sleeps. By itself
# it looks for so long that beside one other busy process a run of two threads falls to a quarter of its speed.
SPINS = "10000"


def main(argv: list[str] | None = None) -> int:
    """Run one verb. Returns 0: done, 1: something ran and failed, 2: the input was wrong, 130: stopped by Ctrl-C."""
    argv = sys.argv[1:] if argv is None else argv
    if "_ARGCOMPLETE" in os.environ:  # a shell asks how its line can go on
        from lit_resnet.verbs import completion

        completion.answer(_parser(os.environ["COMP_LINE"].split()))
    if not os.environ.keys() & {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"}:
        os.environ["GOMP_SPINCOUNT"] = SPINS  # OpenMP reads it when torch is imported, here and in processes of runs
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and "utf" not in stream.encoding.lower():
            stream.reconfigure(errors="replace")  # ± and the like, in a locale that lacks them
    try:
        if wrong := next((word for word in argv if "\0" in word), None):
            raise InputError(f"{shown(wrong)}: holds a letter that no word of a command line can have")
        return _run(argv)
    except InputError as error:
        print(f"lit-resnet: {error}", file=sys.stderr)
        return 2
    except Unreachable as error:
        print(f"lit-resnet: W&B: {error}; run the same command again later", file=sys.stderr)
        return 1
    except Failure as error:
        print(f"lit-resnet: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output, such as head, has closed it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        what = printable(f"{error.filename or 'the disk'}: {error.strerror}")
        if error.errno in FOR_A_WHILE:
            print(f"lit-resnet: {what}; make room, then run the same command again", file=sys.stderr)
            return 1
        if error.errno not in UNUSABLE:
            raise
        print(f"lit-resnet: {what}; give another place", file=sys.stderr)
        return 2


def _run(argv: list[str]) -> int:
    if not argv or argv[0] not in VERBS:
        _parser().parse_args(argv)  # prints the help, the version or an error, and exits
    if sys.platform == "win32":  # no fork server, no signals to save at, no locks of a shared folder
        raise InputError("Windows is not supported: use WSL; in Python, nets, load_run and read_runs work")
    name, *words = argv
    if name in TRAINING:
        from lit_resnet.verbs import fit

        return fit.run(name, words)
    verb = _module(name)
    parser = Parser(prog=f"lit-resnet {name}", description=f"{VERBS[name][0].upper()}{VERBS[name][1:]}.")
    verb.add(parser)
    return verb.run(parser.parse_intermixed_args(words))


def _module(verb: str) -> ModuleType:
    return import_module(f"lit_resnet.verbs.{verb}")


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, whatever letters the words have."""

    def error(self, message: str) -> NoReturn:
        """Print the usage and the error, and exit with 2."""
        super().error(printable(message))


def _parser(line: Collection[str] = ()) -> Parser:
    """The parser of the first word. The verbs among the words of `line` have their options, for a shell to complete."""
    parser = Parser(
        prog="lit-resnet",
        description="Deep Residual Learning for Image Recognition, reproduced run by run.",
        epilog="GRID is the path of a grid file, or the name of a shipped one. Exit codes: 0 done, 1 something ran and "
        "failed, 2 the input was wrong, 130 stopped (Ctrl-C); the same command continues.",
    )
    parser.add_argument("--version", action="version", version=f"lit-resnet {__version__}")
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    for name, text in VERBS.items():
        verb = verbs.add_parser(name, help=text)
        if name in line:
            _module("fit" if name in TRAINING else name).add(verb)
    return parser
