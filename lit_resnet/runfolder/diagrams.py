"""blocks.json: what the blocks of a net do, step by step, as plain values from which they can be drawn.

They are read from the net's modules by `probes/blocks.py`; reading the file takes no torch.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from lit_resnet.errors import InputError, shown
from lit_resnet.files import read_json
from lit_resnet.runfolder import writing

NAME = "blocks.json"
MOST_BYTES = 2**20  # of the file
MOST_STEPS = 60  # of a block: more would not be legible
MOST_KINDS = 24  # of blocks in a net
MOST_BLOCKS = 10_000
MOST_WIDTH = 10**6
LONGEST = 40  # letters of a step's words

# What comes in; a layer with weights; BN and the like; ReLU, sigmoid and the like; what changes the size of the map or
# adds channels; what is multiplied by a constant, subtracted or dropped; where paths meet: `+`, `×`; all else.
Kind = Literal["input", "layer", "norm", "activation", "resize", "scale", "meet", "other"]


@dataclass(frozen=True)
class Step:
    """A step of a block's forward pass.

    Args:
        kind: What kind of step it is.
        does: What it does, as it is drawn: `3x3`, `BN`, `ReLU`, `sigmoid`, `×`, `+`, `1 −`, `× 0.5`.
        width: Channels of its output.
        stride: How many times smaller the map of its output is than that of its input.
        takes: The places of the steps whose outputs it takes, all before its own.
    """

    kind: Kind
    does: str
    width: int
    stride: int = 1
    takes: tuple[int, ...] = ()

    @property
    def words(self) -> str:
        """What is drawn, as the paper writes it: `64-d`, `3x3, 64`, `1x1, 128, /2`, `BN`, `ReLU`."""
        if self.kind == "input":
            return f"{self.width}-d"
        width = f", {self.width}" if self.kind == "layer" or self.does == "zero-padding" else ""
        return f"{self.does}{width}" + (f", /{self.stride}" if self.stride > 1 else "")


@dataclass(frozen=True)
class Diagram:
    """A kind of block in a net: its steps in the order of the forward pass, inputs first; the last is its output.

    Args:
        steps: Those that the output depends on.
        count: How many blocks of the net are of this kind, whatever their widths.
    """

    steps: tuple[Step, ...]
    count: int = 1

    @property
    def structure(self) -> tuple[Any, ...]:
        """What two blocks share that differ in their widths alone: equal widths of one are equal in the other, too."""
        widths = list(dict.fromkeys(step.width for step in self.steps))
        return tuple((s.kind, s.does, widths.index(s.width), s.stride, s.takes) for s in self.steps)


def keep(folder: Path, diagrams: tuple[Diagram, ...]) -> None:
    """Write the file.

    Raises:
        OSError: As `writing.replace`.
        ValueError: A number in it is none that `read` takes.
    """
    content = {"blocks": [_said(diagram) for diagram in diagrams]}
    _parsed(content)
    writing.replace(folder / NAME, json.dumps(content) + "\n")


def read(folder: Path) -> tuple[Diagram, ...]:
    """The kinds of blocks of a run's net; none where there is no file.

    Raises:
        InputError: The file is damaged.
    """
    file = folder / NAME
    try:
        if file.exists() and file.stat().st_size > MOST_BYTES:
            raise ValueError("too large")
        content = read_json(file)
        return () if content is None else _parsed(content)
    except OSError as error:
        how = error.strerror or "cannot be read"
    except ValueError as error:
        how = str(error)
    raise InputError(f"{file}: damaged ({how}); remove it: the run is whole without it")


def _said(diagram: Diagram) -> dict[str, Any]:
    steps = [[step.kind, step.does, step.width, step.stride, list(step.takes)] for step in diagram.steps]
    return {"count": diagram.count, "steps": steps}


def _parsed(content: dict[str, Any]) -> tuple[Diagram, ...]:
    """The diagrams that a file holds.

    Raises:
        ValueError: What is wrong with it.
    """
    return tuple(_diagram(entry) for entry in _list("blocks", content.get("blocks"), MOST_KINDS))


def _diagram(entry: Any) -> Diagram:
    known = entry if isinstance(entry, dict) else {}
    steps = tuple(_step(place, step) for place, step in enumerate(_list("steps", known.get("steps"), MOST_STEPS)))
    if not steps or steps[0].kind != "input":
        raise ValueError("a block has no input")
    return Diagram(steps, _whole("count", known.get("count"), MOST_BLOCKS))


def _step(place: int, value: Any) -> Step:
    if not isinstance(value, list) or len(value) != 5:
        raise ValueError(f"a step is {shown(value)}")
    kind, does, width, stride, takes = value
    if kind not in get_args(Kind):
        raise ValueError(f"the kind of a step is {shown(kind)}")
    if not isinstance(does, str) or len(does) > LONGEST or not does.isprintable() or bool(does) == (kind == "input"):
        raise ValueError(f"a step does {shown(does)}")
    taken = tuple(_list("takes", takes, MOST_STEPS))
    if not all(type(one) is int and 0 <= one < place for one in taken) or bool(taken) == (kind == "input"):
        raise ValueError(f"a step takes {shown(takes)}")
    return Step(kind, does, _whole("width", width, MOST_WIDTH), _whole("stride", stride, MOST_WIDTH), taken)


def _list(what: str, value: Any, most: int) -> list[Any]:
    if not isinstance(value, list) or len(value) > most:
        raise ValueError(f"{what} is no list of at most {most}")
    return value


def _whole(what: str, value: Any, most: int) -> int:
    if type(value) is not int or not 1 <= value <= most:
        raise ValueError(f"{what} is {shown(value)}")
    return value
