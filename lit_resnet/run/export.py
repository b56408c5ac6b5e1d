"""`lit-resnet export`: a trained net as one file: for other programs, or its weights with a card, to pass on."""

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
from lit_resnet.runfolder import card as cards
from lit_resnet.runfolder import predictions
from lit_resnet.runfolder.card import KEY, SUFFIX, Card
from lit_resnet.runfolder.folder import RunFolder
from lit_resnet.sameness import digest
from lit_resnet.training import net_file
from lit_resnet.training.weights import check_converged


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
    """Write the net of a finished run to a file: its mean is in it, and what is to be known of it as JSON.

    Args:
        run: As for `load_run`.
        to: The file; its ending, one of `FORMS`, says which form it has.
        force: Whether it replaces a file that is there.

    Raises:
        InputError: No finished run, one that has diverged, an unknown ending, a file that is there already or cannot
            be written, or packages that are missing.
    """
    if to.suffix not in FORMS:
        near = did_you_mean(to.suffix, FORMS)
        raise InputError(f"--to {to}: write a name that ends in one of {', '.join(FORMS)}{near}")
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
    check_converged(trained.summary, run)
    content = form.content(trained)
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


def card(trained: TrainedNet) -> Card:
    """What there is to know of a net.

    Raises:
        InputError: The run's config or predictions.npy are damaged.
    """
    if trained.place.is_file():
        return cards.read(trained.place)
    config = RunFolder(trained.place).config()
    tested = predictions.read(trained.place, trained.summary.metrics["test_error"])
    summary = cards.placeless(trained.summary, config)
    return Card(summary, trained.images, digest(config), None if tested is None else len(tested))


def _pt2(trained: TrainedNet) -> bytes:
    sizes = ({0: torch.export.Dim("N", min=1)},)
    program = torch.export.export(_Shares(trained), (_any_images(trained),), dynamic_shapes=sizes)
    content = io.BytesIO()
    torch.export.save(program, content, extra_files={KEY: json.dumps(facts(trained))})
    return content.getvalue()


def _onnx(trained: TrainedNet) -> bytes:
    program = torch.onnx.export(
        _Shares(trained),
        (_any_images(trained),),
        dynamo=True,
        dynamic_shapes=({0: torch.export.Dim("N", min=1)},),
        input_names=["images"],
        output_names=["shares"],
        verbose=False,
    )
    assert program is not None  # it is of the exporter that dynamo chooses
    model = program.model_proto
    model.metadata_props.add(key=KEY, value=json.dumps(facts(trained)))
    return model.SerializeToString()


def _any_images(trained: TrainedNet) -> Tensor:
    return torch.zeros(2, *trained.image_shape, dtype=torch.uint8)


def _safetensors(trained: TrainedNet) -> bytes:
    return net_file.content(card(trained), trained.net.state_dict(), trained.mean)


class Form(NamedTuple):
    """A form of file.

    Args:
        needs: Packages, of the extra `onnx`.
        content: Makes the file's content of a net.
    """

    needs: tuple[str, ...]
    content: Callable[[TrainedNet], bytes]


FORMS = {
    ".pt2": Form((), _pt2),
    ".onnx": Form(("onnx", "onnxscript"), _onnx),
    SUFFIX: Form((), _safetensors),
}
