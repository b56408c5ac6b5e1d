"""`lit-resnet predict`: what the net of a finished run sees in pictures."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lit_resnet.errors import InputError
from lit_resnet.verbs import options

if TYPE_CHECKING:
    from lit_resnet.run.predict import Prediction


def add(parser: argparse.ArgumentParser) -> None:
    """Add its options to a parser."""
    options.form(parser)
    options.own_code(parser)
    options.net(parser)
    parser.add_argument(
        "images", type=Path, metavar="IMAGE", nargs="+", help="photographs or small images, of any size"
    )
    parser.add_argument(
        "--picture", type=Path, metavar="FILE", help="also draw the images as the net sees them, beside bars of shares"
    )
    parser.epilog = (
        "An image is resized and its middle cut out as the run's test images were: grey for a net of one channel, "
        "transparency on white, turned as its EXIF data say. Shares are the outputs of softmax: they say how sure the "
        "net is, not how often it is right."
    )


def run(args: argparse.Namespace) -> int:
    """Print the classes, and draw them if asked for."""
    from lit_resnet.listing import show, spinner

    if args.picture:
        _check(args.picture, args.images)
    with spinner("loading torch and the net"):
        from lit_resnet.run import predict

        options.import_own(args)
        net, found = predict.predict(args.net, args.images)
    title = f"{net.summary.net}, trained on {net.summary.data}"
    show(predict.rows(found), predict.COLUMNS, args.format, title)
    if args.picture:
        _draw(args.picture, found, title)
    return 0


def _check(picture: Path, images: list[Path]) -> None:
    """Refuse a picture that cannot be drawn, before anything is loaded."""
    from lit_resnet.report.figures.predicted import FORMATS, MOST

    if picture.suffix not in FORMATS:
        raise InputError(f"--picture {picture}: write a name that ends in {', '.join(FORMATS)}")
    if picture.resolve() in [image.resolve() for image in images]:
        raise InputError(f"--picture {picture}: is one of the images; write another name")
    if picture.is_dir() or not picture.parent.is_dir():
        raise InputError(f"--picture {picture}: write a file in a folder that is there")
    if len(images) > MOST:
        raise InputError(f"--picture: {len(images)} images are too many to draw; write {MOST} at most")


def _draw(picture: Path, found: "list[Prediction]", title: str) -> None:
    from lit_resnet.files import write_whole
    from lit_resnet.report.figures.predicted import Seen, render

    seen = [Seen(str(one.picture), one.image.numpy(), one.ranked) for one in found]
    try:
        write_whole(picture, render(seen, title, picture.suffix[1:]))
    except PermissionError as error:
        raise InputError(f"--picture {picture}: cannot be written ({error.strerror})") from None
    print(f"drawn: {picture}", file=sys.stderr)
