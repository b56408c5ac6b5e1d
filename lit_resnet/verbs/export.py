"""`lit-resnet export`: the net of a finished run as a file, for other programs or to pass on."""

import argparse
import sys
from pathlib import Path

from lit_resnet.verbs import options


def add(parser: argparse.ArgumentParser) -> None:
    """Add its options to a parser."""
    options.own_code(parser)
    options.net(parser)
    parser.add_argument(
        "--to",
        type=Path,
        metavar="FILE",
        required=True,
        help="net.pt2 (torch.export), net.onnx (needs the extra onnx), or net.safetensors",
    )
    parser.add_argument("--force", action="store_true", help="replace the file if it is there")
    parser.description = (
        "A .pt2 or .onnx file is a program that needs nothing of this package: it takes uint8 images [N, C, H, W] of "
        "the shape that the net was trained on, any number at a time, and gives the shares of the classes [N, "
        "classes]; the mean is subtracted, and softmax taken, inside. Names of the classes and the sizes are in it as "
        "JSON, under lit_resnet.json. A .safetensors file has the weights and the mean, and as JSON what the run "
        "says of itself, without its places: predict, evaluate, load_run and model.start take it in place of the run."
    )


def run(args: argparse.Namespace) -> int:
    """Write the file."""
    from lit_resnet.listing import spinner

    with spinner("loading torch and the net, exporting"):
        from lit_resnet.run.export import export

        options.import_own(args)
        trained = export(args.net, args.to, args.force)
    shape = ", ".join(map(str, trained.image_shape))
    print(
        f"{args.to}: {trained.summary.net}, for images [N, {shape}] of {len(trained.classes)} classes", file=sys.stderr
    )
    return 0
