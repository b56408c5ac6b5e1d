"""What a sentence says of nets, as comparisons of a number over their runs; and the verdict of several comparisons."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from lit_resnet.report.claims.contrast import NO_MARGIN, Contrast, Margin, Sample
from lit_resnet.report.verdicts import Verdict

Sign = Literal["<", ">"]
Far = Literal["times", "orders"]

LEVEL = 0.05


@dataclass(frozen=True, eq=False)
class Comparison:
    """One thing that has to be so for a sentence to hold.

    Args:
        contrast: What is tested.
        shown: The nets whose numbers are shown, in their order; a limit has one.
        limit: The number that the paper gives, where that is what a net is compared with.
        step: Whether it is a step of a trend, which need not be significant by itself.
        trend: Whether it is the trend over several depths.
        far: Whether a limit is so far away that one run tells.
    """

    contrast: Contrast
    shown: tuple[Sample, ...]
    limit: float | None = None
    step: bool = False
    trend: bool = False
    far: bool = False

    @property
    def measured(self) -> bool:
        """Whether every net has a finished run."""
        return self.contrast.measured

    @property
    def p(self) -> float | None:
        """Probability of numbers that are so much as claimed, or more, if it were not so; None without a test."""
        if not self.measured:
            return None
        if self.far:
            return 0.0 if self.as_claimed else 1.0
        return self.contrast.p if self.contrast.tested else None

    @property
    def opposite(self) -> float | None:
        """The same of numbers that are so much the other way round."""
        p = self.p
        return p if p is None else 1 - p if self.far else self.contrast.opposite

    @property
    def as_claimed(self) -> bool | None:
        """Whether the means are as claimed, whatever a test says; None where that needs a spread and there is none."""
        if self.contrast.margin.own and not self.contrast.tested:
            return None
        return self.contrast.value < self.contrast.room

    @property
    def names(self) -> str:
        """`plain-20 and plain-56`."""
        return " and ".join(sample.name for sample in self.shown)


def pair(left: Sample, claimed: Sign, right: Sample, margin: Margin = NO_MARGIN, step: bool = False) -> Comparison:
    """`left` is below (`<`) or above (`>`) `right`, or beyond it by less than the margin."""
    weights = (1.0, -1.0) if claimed == "<" else (-1.0, 1.0)
    return Comparison(Contrast((left, right), weights, margin=margin), (left, right), step=step)


def by(left: Sample, right: Sample, points: float, margin: Margin) -> list[Comparison]:
    """`left` is above `right` by so many points, to within the margin: a comparison for each side."""
    both = (((-1.0, 1.0), -points), ((1.0, -1.0), points))
    return [Comparison(Contrast((left, right), weights, bound, margin), (left, right)) for weights, bound in both]


def times(left: Sample, right: Sample, factor: float, margin: Margin) -> list[Comparison]:
    """`left` is so many times `right`, to within the margin: a comparison for each side."""
    both = ((-1.0, factor), (1.0, -factor))
    return [Comparison(Contrast((left, right), weights, margin=margin), (left, right)) for weights in both]


def limit(sample: Sample, claimed: Sign, number: float, far: Far | None = None) -> Comparison:
    """A net is below or above a number of the paper, or of ours.

    `far` says that one run tells if it is an order of magnitude away from it, on either side: no spread between runs
    is as large. It says what an order of magnitude is: ten times as much, or 1 where the numbers are logarithms.
    """
    sign = 1.0 if claimed == "<" else -1.0
    apart = bool(sample.values) and all(_is_far(value, number, far) for value in sample.values)
    return Comparison(Contrast((sample,), (sign,), sign * number), (sample,), number, far=apart)


def _is_far(value: float, number: float, far: Far | None) -> bool:
    if far == "orders":
        return abs(value - number) >= 1
    return far == "times" and max(value, number) >= 10 * min(value, number)


def deeper(line: Sequence[Sample], claimed: Sign) -> list[Comparison]:
    """From each net to the next, deeper one its number rises (`<`) or falls (`>`).

    Of two nets that is a pair. Of more it is a trend over all of them, a contrast with the places in the line as
    weights, and the steps. Their means have to be as claimed, but they need not be significant one by one: steps of a
    few tenths of a point, as in Table 6, are beyond what a handful of runs can tell.
    """
    if len(line) < 3:
        return [pair(left, claimed, right) for left, right in pairwise(line)]
    sign = -1.0 if claimed == "<" else 1.0
    weights = tuple(sign * (i - (len(line) - 1) / 2) for i in range(len(line)))
    trend = Comparison(Contrast(tuple(line), weights), tuple(line), trend=True)
    return [trend, *(pair(left, claimed, right, step=True) for left, right in pairwise(line))]


def verdict(comparisons: Sequence[Comparison]) -> Verdict:
    """The verdict on a sentence, from all its comparisons.

    It holds if every one passes its test at 5 %; of the steps of a trend only the means have to be as claimed. That
    needs no correction for their number: a false conjunction has at least one false member, and that one passes in at
    most 5 % of cases (intersection-union test). It does not hold if any is found the other way round; that is
    corrected, to 5 % over all of them (the first step of Holm's method). In all other cases, and where a net has too
    few runs to test, more are needed.
    """
    if refuted(comparisons):
        return "does not hold"
    passed = (one.as_claimed if one.step else one.p is not None and one.p <= LEVEL for one in comparisons)
    return "holds" if all(one.measured for one in comparisons) and all(passed) else "not enough runs"


def refuted(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """Those that are the other way round than claimed, at 5 % over all that are tested."""
    tested = [(one, one.opposite) for one in comparisons if one.opposite is not None]
    return [one for one, opposite in tested if opposite <= LEVEL / len(tested)]
