"""`lit-resnet export`: the net of a finished run as a file for other programs."""

import argparse
import sys
from pathlib import Path

from lit_resnet.verbs import options


def add(parser: argparse.ArgumentParser) -> None:
    """Add its options to a parser."""
    options.own_code(parser)
    parser.add_argument("folder", type=Path, metavar="RUN", help="the folder of a finished run")
    parser.add_argument(
        "--to",
        type=Path,
        metavar="FILE",
        required=True,
        help="net.pt2 (torch.export) or net.onnx (needs the extra onnx)",
    )
    parser.add_argument("--force", action="store_true", help="replace the file if it is there")
    parser.description = (
        "The file takes uint8 images [N, C, H, W] of the shape that the net was trained on, any number at a time, and "
        "gives the shares of the classes [N, classes]: the mean is subtracted, and softmax taken, inside. Names of the "
        "classes and the sizes are in it as JSON, under lit_resnet.json."
    )


def run(args: argparse.Namespace) -> int:
    """Write the file."""
    from lit_resnet.listing import spinner

    with spinner("loading torch and the net, exporting"):
        from lit_resnet.run.export import export

        options.import_own(args)
        trained = export(args.folder, args.to, args.force)
    shape = ", ".join(map(str, trained.image_shape))
    print(
        f"{args.to}: {trained.summary.net}, uint8 [N, {shape}] -> shares of {len(trained.classes)} classes",
        file=sys.stderr,
    )
    return 0
