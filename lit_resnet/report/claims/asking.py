"""How a sentence is asked of nets: by comparing a measure of couples of them, of lines, or with a number."""

from itertools import product

from lit_resnet import paper
from lit_resnet.report.claims.alike import Group, Net
from lit_resnet.report.claims.compare import Comparison, Far, Sign, deeper, limit, pair
from lit_resnet.report.claims.contrast import NO_MARGIN, Margin
from lit_resnet.report.claims.margins import alike
from lit_resnet.report.claims.measures import Measure

Compared = list[tuple[Measure, Comparison]]
Couples = list[tuple[Net, Net]]


def compare(couples: Couples, claimed: Sign, *measures: Measure, margin: Margin = NO_MARGIN) -> Compared:
    """The first of two nets is below (`<`) or above (`>`) the second, or beyond it by less than the margin."""
    return [(m, pair(m.of(left), claimed, m.of(right), margin)) for m in measures for left, right in couples]


def trend(lines: list[list[Net]], claimed: Sign, *measures: Measure) -> Compared:
    """From net to net of each line, from shallow to deep, a number rises or falls."""
    compared = product(measures, lines)
    return [(m, one) for m, line in compared for one in deeper([m.of(net) for net in line], claimed)]


def like(group: Group, couples: Couples, *measures: Measure) -> Compared:
    """Neither of two nets is worse than the other."""
    return [
        one
        for measure in measures
        for claimed in ("<", ">")
        for one in compare(couples, claimed, measure, margin=alike(group, measure))
    ]


def no_worse(group: Group, couples: Couples, claimed: Sign, *measures: Measure) -> Compared:
    """The one net is below or above the other, or beyond it by no more than two runs of one net differ."""
    return [one for m in measures for one in compare(couples, claimed, m, margin=alike(group, m))]


def limited(nets: list[Net], claimed: Sign, number: float, *measures: Measure, far: Far | None = None) -> Compared:
    """Each net is below or above a number; `far` as in `compare.limit`."""
    return [(m, limit(m.of(net), claimed, number, far)) for m in measures for net in nets]


def value_of(claim: str) -> float:
    """The number in a sentence."""
    return paper.load()["claims"][claim]["value"]
