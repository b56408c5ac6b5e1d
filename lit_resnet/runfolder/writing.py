"""The one way to write into a run folder: a process that has lost the folder's lock ends, and writes nothing."""

from pathlib import Path

from lit_resnet.files import append_whole, write_whole
from lit_resnet.runfolder.lock import confirm


def replace(file: Path, content: str | bytes) -> None:
    """Replace a file of a run folder as a whole; see `files.write_whole`.

    Raises:
        OSError: The disk is full or away, or the folder cannot be written.
    """
    confirm(file.parent)
    write_whole(file, content)


def replace_below(folder: Path, name: str, content: str | bytes) -> None:
    """Replace a file in a folder of a run folder, `examples/1.jpg`; its folder is made where it is not there.

    Raises:
        OSError: As `replace`.
    """
    confirm(folder)
    (folder / name).parent.mkdir(exist_ok=True)
    write_whole(folder / name, content)


def append(file: Path, text: str) -> None:
    """Append all of a text to a file of a run folder, or nothing; see `files.append_whole`.

    Raises:
        OSError: As `replace`.
    """
    confirm(file.parent)
    append_whole(file, text)
