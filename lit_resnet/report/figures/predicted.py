"""Pictures as a net sees them, beside bars of the shares of the classes that it sees in them."""

from collections.abc import Sequence
from io import BytesIO
from typing import Any, NamedTuple

from matplotlib import rc_context
from matplotlib.figure import Figure

from lit_resnet.report.figures import style
from lit_resnet.report.looks import PALETTE

FORMATS = (".png", ".svg", ".pdf")
MOST = 20  # pictures, one below the other
LONGEST = 40  # letters of a name


class Seen(NamedTuple):
    """A picture that a net has seen.

    Args:
        name: Of the picture.
        image: As the net sees it: an array uint8 [C, H, W], C being 1 or 3.
        ranked: Names of classes and their shares, the largest first.
    """

    name: str
    image: Any
    ranked: list[tuple[str, float]]


def render(seen: Sequence[Seen], title: str, format: str) -> bytes:
    """The content of an image file of that format, `png`, `svg` or `pdf`."""
    # Names are a user's: a dollar sign in them is no formula.
    with rc_context({**style.RC, "text.parse_math": False, "axes.grid": False}):
        figure = Figure(figsize=(6.6, 0.5 + 1.9 * len(seen)), layout="constrained")
        figure.suptitle(title, fontsize=10)
        axes = figure.subplots(len(seen), 2, squeeze=False, width_ratios=(1, 1.6))
        for one, (left, right) in zip(seen, axes, strict=True):
            grey = one.image.shape[0] == 1
            pixels = one.image[0] if grey else one.image.transpose(1, 2, 0)
            left.imshow(pixels, cmap="gray" if grey else None, vmin=0, vmax=255, interpolation="nearest")
            left.set_title(_short(one.name), fontsize=8.5)
            left.axis("off")
            places = range(len(one.ranked))
            shares = [100 * share for _, share in one.ranked]
            bars = right.barh(places, shares, height=0.7, color=[PALETTE[0][0], *["#c9c9c9"] * (len(shares) - 1)])
            right.bar_label(bars, [f"{share:.1f} %" for share in shares], padding=3, fontsize=8.5)
            right.set_yticks(places, [_short(name) for name, _ in one.ranked])
            right.set_xlim(0, 118)  # room for `100.0 %`
            right.set_xticks([])
            right.tick_params(left=False)
            right.spines["bottom"].set_visible(False)
            right.invert_yaxis()
        content = BytesIO()
        figure.savefig(content, format=format)
    return content.getvalue()


def _short(name: str) -> str:
    """A name that fits: of a path the end, which tells files apart."""
    return name if len(name) <= LONGEST else f"…{name[1 - LONGEST :]}"
