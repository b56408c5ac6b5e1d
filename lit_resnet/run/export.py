"""`lit-resnet export`: a trained net as one file that needs nothing of this package."""

import io
import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from lit_resnet.data.augment import subtract_mean
from lit_resnet.errors import InputError, did_you_mean
from lit_resnet.files import write_whole
from lit_resnet.run.trained import TrainedNet, load_run

FACTS = "lit_resnet.json"  # in a .pt2 file; in an .onnx file the key of its metadata


class _Shares(nn.Module):
    """uint8 images [N, C, H, W] of the shape that the net was trained on -> shares of the classes [N, classes]."""

    mean: Tensor

    def __init__(self, trained: TrainedNet) -> None:
        super().__init__()
        self.net = trained.net
        self.register_buffer("mean", trained.mean)
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        return self.net(subtract_mean(images, self.mean)).softmax(1)


def export(run: Path, to: Path, force: bool) -> TrainedNet:
    """Write the net of a finished run to a file: its mean is in it, and its classes and sizes as JSON.

    Args:
        run: The run's folder.
        to: The file; its ending, one of `FORMS`, says which form it has.
        force: Whether it replaces a file that is there.

    Raises:
        InputError: No finished run, an unknown ending, a file that is there already or cannot be written, or packages
            that are missing.
    """
    if to.suffix not in FORMS:
        known = " or ".join(FORMS)
        raise InputError(f"--to {to}: write a name that ends in {known}{did_you_mean(to.suffix, FORMS)}")
    if not to.parent.is_dir():
        raise InputError(f"--to {to}: there is no folder {to.parent}: make it first")
    if to.is_dir() or (to.exists() and not force):
        raise InputError(f"--to {to}: is there already; write another name, or --force to replace it")
    form = FORMS[to.suffix]
    for name in form.needs:
        if find_spec(name) is None:
            raise InputError(
                f"--to {to}: needs the package {name}: pip install 'lit-resnet[onnx]', or uv sync --extra onnx"
            )
    trained = load_run(run)
    content = form.content(_Shares(trained), torch.zeros(2, *trained.image_shape, dtype=torch.uint8), facts(trained))
    try:
        write_whole(to, content)
    except PermissionError as error:
        raise InputError(f"--to {to}: cannot be written ({error.strerror})") from None
    return trained


def facts(trained: TrainedNet) -> dict[str, Any]:
    """What is to be known to use the file: the classes in the order of the shares, and how pictures become images."""
    return {
        "net": trained.summary.net,
        "data": trained.summary.data,
        "input": "uint8 [N, C, H, W], levels from 0 to 255",
        "output": "shares of the classes, [N, classes]",
        "image_shape": list(trained.image_shape),
        "short_side": trained.short_side,
        "classes": list(trained.classes),
    }


def _pt2(net: nn.Module, images: Tensor, known: dict[str, Any]) -> bytes:
    program = torch.export.export(net, (images,), dynamic_shapes=({0: torch.export.Dim("N", min=1)},))
    content = io.BytesIO()
    torch.export.save(program, content, extra_files={FACTS: json.dumps(known)})
    return content.getvalue()


def _onnx(net: nn.Module, images: Tensor, known: dict[str, Any]) -> bytes:
    program = torch.onnx.export(
        net,
        (images,),
        dynamo=True,
        dynamic_shapes=({0: torch.export.Dim("N", min=1)},),
        input_names=["images"],
        output_names=["shares"],
        verbose=False,
    )
    assert program is not None  # it is of the exporter that dynamo chooses
    model = program.model_proto
    model.metadata_props.add(key=FACTS, value=json.dumps(known))
    return model.SerializeToString()


class Form(NamedTuple):
    """A form of file.

    Args:
        needs: Packages, of the extra `onnx`.
        content: Makes the file's content of a net, images to try it on, and what is to be known of it.
    """

    needs: tuple[str, ...]
    content: Callable[[nn.Module, Tensor, dict[str, Any]], bytes]


FORMS = {".pt2": Form((), _pt2), ".onnx": Form(("onnx", "onnxscript"), _onnx)}
