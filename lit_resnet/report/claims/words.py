"""The evidence of a claim in a line: numbers of nets with their signs, and what the tests say."""

import math
from collections.abc import Sequence

from lit_resnet.report.claims.compare import LEVEL, Comparison, refuted
from lit_resnet.report.claims.contrast import Sample


def words(label: str, digits: int, comparisons: Sequence[Comparison], claim: Sequence[Comparison]) -> str:
    """Comparisons in a line, with the signs of their means.

    For example `train error %: plain-20 0.26±0.07 < plain-56 8.15±5.49 (n = 5, p = 0.012)`.

    Args:
        label: What the numbers are.
        digits: Digits after the decimal point.
        comparisons: Those to write.
        claim: All comparisons of the claim that they are part of.
    """
    text, end = f"{label}: ", None
    seen = {(one.names, one.limit): one for one in comparisons if not one.trend}
    for one in seen.values():
        (left, *right), limit = one.shown, one.limit
        if left.name != end:
            text += ("; " if end else "") + _number(left, digits)
        end = left.name
        for net in right:
            text += f" {_sign(left, net.mean)} " if left.values and net.values else ", "
            text += _number(net, digits)
            end = net.name
        if limit is not None and left.values:
            text += f" {_sign(left, limit)} {limit:g}"
    how = "; ".join(_how(comparisons, refuted(claim)))
    return f"{text} ({how})" if how else text


def _sign(left: Sample, right: float) -> str:
    return "<" if left.mean < right else ">" if left.mean > right else "="


def _number(sample: Sample, digits: int) -> str:
    if not sample.values:
        return f"{sample.name} {sample.lacking}"
    return f"{sample.name} {sample.mean:.{digits}f}" + (f"±{sample.std:.{digits}f}" if sample.n > 1 else "")


def _how(comparisons: Sequence[Comparison], against: Sequence[Comparison]) -> list[str]:
    """The number of runs, the margin, and what the tests say."""
    measured = [one for one in comparisons if one.measured]
    single = [one for one in measured if one.p is None]
    counts = sorted({sample.n for one in measured for sample in one.contrast.samples})
    said = ["n = " + " to ".join(map(str, dict.fromkeys([counts[0], counts[-1]])))] if counts[-1:] > [1] else []
    rooms = [(one.contrast.room, one.contrast.margin.of) for one in measured if one.as_claimed is not None]
    margin, of = max(rooms, key=lambda room: abs(room[0]), default=(0.0, ""))
    if margin:
        whose = f", by the spread of {of}" if of else ""
        said.append(f"margin {margin:.2f}{whose}" if margin > 0 else f"by more than {-margin:.2f}")
    if single:
        said.append(_untested(single, counts == [1]))
        if apart := _apart(single):
            said.append(f"by test images alone {apart}")
    wrong = [one for one in measured if one in against]
    undecided = [one for one in measured if one.p is not None and one.p > LEVEL and one not in wrong]
    if any(one.trend for one in undecided):
        undecided = [one for one in undecided if not one.step]
    if wrong:
        said.append("against it: " + _named(wrong, opposite=True))
    if undecided:
        said.append("undecided: " + _named(undecided))
    passed = [one.p for one in measured if not one.far and one.p is not None and one.p <= LEVEL]
    if passed and not undecided and not wrong:
        said.append(_p(max(passed), "≤" if len(passed) > 1 else "="))
    elif trend := [one for one in measured if one.trend and one.p is not None and one.p <= LEVEL]:
        said.append(f"the trend: {_p(max(one.p for one in trend if one.p is not None))}")
    return said


def _untested(single: list[Comparison], everywhere: bool) -> str:
    """What the numbers say of comparisons that have no test; `everywhere`: as there is one run of each net."""
    pairs = [one for one in single if not one.trend]
    said = {one.as_claimed for one in pairs}
    other = said == {False} and all(one.contrast.value > one.contrast.room for one in pairs)
    which = "as claimed" if said == {True} else "the other way round" if other else "not all as claimed"
    which = "no spread to tell by" if None in said else which
    return f"{'one run each' if everywhere else 'too few runs of some to test'}, {which}"


def _apart(single: Sequence[Comparison]) -> str:
    """By how much two models differ, with the 95 % interval that test images give; nothing about other seeds."""
    said = []
    for one in {one.names: one for one in single if one.contrast.paired}.values():
        apart = abs(one.shown[0].mean - one.shown[1].mean)
        half = 1.96 * math.sqrt(one.contrast.of_images)
        said.append(f"{one.names} differ by {apart:.2f} (95 %: {apart - half:.2f} to {apart + half:.2f})")
    return ", ".join(said)


def _named(comparisons: list[Comparison], opposite: bool = False) -> str:
    """Each couple of nets once, with its largest p."""
    found: dict[str, str] = {}
    known = [(one.opposite if opposite else one.p, one) for one in comparisons]
    for p, one in sorted(((p, one) for p, one in known if p is not None), key=lambda pair: pair[0]):
        name = f"the trend over {len(one.shown)} depths" if one.trend else one.names
        found[name] = name if one.far else f"{name} ({_p(p)})"
    return ", ".join(found.values())


def _p(p: float, sign: str = "=") -> str:
    return "p < 0.001" if p < 0.001 else f"p {sign} {p:.2g}"
