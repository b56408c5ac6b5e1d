"""With which code a run is made: a digest of the package's modules, the state of git checkouts, installed versions."""

import hashlib
import os
import platform
import subprocess
from dataclasses import dataclass
from functools import cache
from importlib.metadata import distributions
from pathlib import Path

import lit_resnet

MOST_BYTES, MOST_FILES = 1 << 20, 100  # of a patch, and of new files in it


@dataclass(frozen=True)
class Checkout:
    """A git checkout as it is.

    Args:
        commit: The commit, in full.
        dirty: Whether files differ from it: tracked ones, or new Python files.
        patch: The difference, as `git apply` takes it; empty where there is none. Cut after `MOST_BYTES`.
    """

    commit: str
    dirty: bool
    patch: str


@cache
def code() -> str:
    """16 hexadecimal digits of the package's Python files: when this process first asked, or that it is forked from."""
    package, digest = Path(lit_resnet.__file__).parent, hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(package).as_posix()} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:16]


@cache
def of_package() -> Checkout | None:
    """The checkout that the package is run from, when this process first asked, or that it is forked from.

    None where the package is installed, or git cannot tell.
    """
    package = Path(lit_resnet.__file__).parent
    root = package.parent
    return _checkout(root, [], [f"{package.name}/*.py"]) if (root / ".git").exists() else None


def of_user() -> Checkout | None:
    """The checkout that the current folder is in, as far as Python files go; None for the package's own, or where none.

    It may hold the user's own nets and tasks. Only Python files count: the patch stays beside the run's results, and
    what else lies in a checkout may not be meant for their readers.
    """
    try:
        root = _git(Path.cwd(), "rev-parse", "--show-toplevel").strip()
    except (OSError, subprocess.CalledProcessError):
        return None
    if Path(root).resolve() == Path(lit_resnet.__file__).resolve().parent.parent:
        return None
    return _checkout(Path(root), ["*.py"], ["*.py"])


@cache
def installed() -> str:
    """The versions of Python and of all installed packages, a line each, as pip's constraints; no places, no hashes.

    As they were when this process first asked, or that it is forked from.
    """
    metadata = [one.metadata for one in distributions()]  # each is a file
    found = {str(one["Name"]): one["Version"] for one in metadata if one["Name"]}
    lines = sorted((f"{name}=={version}\n" for name, version in found.items()), key=str.lower)
    return "".join([f"# Python {platform.python_version()}, {platform.system()} {platform.machine()}\n", *lines])


def _checkout(root: Path, tracked: list[str], new: list[str]) -> Checkout | None:
    """The state of a checkout: the tracked and the new files that these patterns name, of tracked ones [] being all."""
    try:
        commit = _git(root, "rev-parse", "HEAD").strip()
        patch = _git(root, "diff", "HEAD", *DIFF, "--", *tracked)
        for file in _git(root, "ls-files", "--others", "--exclude-standard", "-z", "--", *new).split("\0")[:MOST_FILES]:
            if file:
                patch += _git(root, "diff", "--no-index", *DIFF, "--", os.devnull, file)
    except (OSError, subprocess.CalledProcessError):
        return None
    if len(patch) > MOST_BYTES:
        patch = f"{patch[:MOST_BYTES]}\n# cut: the difference has {len(patch):,} characters\n"
    return Checkout(commit, bool(patch), patch)


DIFF = ("--no-color", "--no-ext-diff", "--no-textconv")  # whatever the user's settings say


def _git(folder: Path, *words: str) -> str:
    """What git prints.

    Raises:
        OSError: There is no git.
        CalledProcessError: Git fails.
    """
    # Many runs may begin at once, so no locks; and a checkout's own settings start no program.
    git = ["git", "--no-optional-locks", "-c", "core.fsmonitor=false", "-C", str(folder)]
    done = subprocess.run([*git, *words], capture_output=True)
    if done.returncode not in ((0, 1) if "--no-index" in words else (0,)):  # 1: the files differ
        raise subprocess.CalledProcessError(done.returncode, words)
    return done.stdout.decode(errors="replace")
