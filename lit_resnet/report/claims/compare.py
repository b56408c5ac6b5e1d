"""Is a number of one net below that of another? One-sided t-tests over seeds, and the verdict of several."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean, stdev
from typing import Literal

Verdict = Literal["holds", "does not hold", "not enough runs"]

LEVEL = 0.05


@dataclass(frozen=True)
class Sample:
    """One number over the finished runs of a net, or a number of the paper.

    Args:
        name: The net; empty for a number of the paper.
        values: One value per run; empty where no run is finished yet.
        exact: Whether it is a number of the paper, which has no spread.
    """

    name: str
    values: tuple[float, ...]
    exact: bool = False

    @property
    def mean(self) -> float:
        """Mean over the runs."""
        return fmean(self.values)

    @property
    def std(self) -> float:
        """Sample standard deviation; 0 for one value."""
        return stdev(self.values) if len(self.values) > 1 else 0.0

    @property
    def n(self) -> float:
        """Number of runs; infinite for a number of the paper."""
        return float("inf") if self.exact else len(self.values)


@dataclass(frozen=True)
class Pair:
    """The claim that `left` is below (`<`) or above (`>`) `right`, or beyond it by less than `margin`."""

    left: Sample
    right: Sample
    claimed: Literal["<", ">"]
    margin: float = 0.0

    @property
    def measured(self) -> bool:
        """Whether both have a finished run."""
        return bool(self.left.values and self.right.values)

    @property
    def tested(self) -> bool:
        """Whether there is a spread over seeds to test by."""
        return self.measured and any(1 < sample.n < float("inf") for sample in (self.left, self.right))

    @cached_property
    def p(self) -> float:
        """Probability of means that far in the claimed direction, or farther, if they differed by just the margin.

        Welch's t-test, one-sided. It does not assume equal spreads (a net that degrades scatters far more than one
        that trains); with two to five runs a rank test hardly comes below 5 %, or cannot. Where one net has a single
        run, the other's spread stands for both (Student's t-test); a number of the paper has no spread. With one run
        each there is no test: 0 if the numbers are as claimed, else 1.
        """
        lower, higher = (self.left, self.right) if self.claimed == "<" else (self.right, self.left)
        if not self.tested:
            return 0.0 if lower.mean < higher.mean + self.margin else 1.0
        from scipy.stats import ttest_ind_from_stats  # takes a second to import

        p = ttest_ind_from_stats(
            mean1=lower.mean,
            std1=lower.std,
            nobs1=lower.n,
            mean2=higher.mean + self.margin,
            std2=higher.std,
            nobs2=higher.n,
            equal_var=1 in (lower.n, higher.n),
            alternative="less",
        ).pvalue
        return 0.5 if p != p else float(p)  # NaN where all runs gave the same value


def verdict(pairs: Sequence[Pair]) -> Verdict:
    """The verdict on a claim, from all its pairs.

    It holds if every pair does at 5 %. That needs no correction for the number of pairs: a false conjunction has at
    least one false pair, and that pair passes its test in at most 5 % of cases (intersection-union test). It does not
    hold if any pair is found the other way round; that is corrected, to 5 % over all pairs (the first step of Holm's
    method). In all other cases, and where a net has no run yet, more runs are needed.
    """
    if refuted(pairs):
        return "does not hold"
    return "holds" if all(pair.measured and pair.p <= LEVEL for pair in pairs) else "not enough runs"


def refuted(pairs: Sequence[Pair]) -> list[Pair]:
    """The pairs that are the other way round than claimed, at 5 % over all of them."""
    measured = [pair for pair in pairs if pair.measured]
    return [pair for pair in measured if 1 - pair.p <= LEVEL / len(measured)]


def words(label: str, digits: int, pairs: Sequence[Pair], claim: Sequence[Pair]) -> str:
    """Pairs in a line, with the signs of their means.

    For example `train error %: plain-20 0.26±0.07 < plain-56 8.15±5.49 (n = 5, p = 0.012)`.

    Args:
        label: What the numbers are.
        digits: Digits after the decimal point.
        pairs: The pairs to write.
        claim: All pairs of the claim that they are part of.
    """
    text, end = f"{label}: ", None
    for left, right in dict.fromkeys((pair.left, pair.right) for pair in pairs):
        if left != end:
            text += ("; " if end else "") + _number(left, digits)
        if left.values and right.values:
            text += (
                f" {'<' if left.mean < right.mean else '>' if left.mean > right.mean else '='} {_number(right, digits)}"
            )
        elif not right.exact:
            text += f", {_number(right, digits)}"
        end = right
    how = "; ".join(_how(pairs, refuted(claim)))
    return f"{text} ({how})" if how else text


def _number(sample: Sample, digits: int) -> str:
    if sample.exact:
        return f"{sample.mean:g}"
    if not sample.values:
        return f"{sample.name} missing"
    return f"{sample.name} {sample.mean:.{digits}f}" + (f"±{sample.std:.{digits}f}" if sample.n > 1 else "")


def _how(pairs: Sequence[Pair], against: Sequence[Pair]) -> list[str]:
    """The number of runs, the margin, and what the tests say."""
    measured = [pair for pair in pairs if pair.measured]
    tested = [pair.p for pair in measured if pair.tested]
    counts = sorted({len(s.values) for pair in measured for s in (pair.left, pair.right) if not s.exact})
    said = []
    if tested:
        said.append("n = " + " to ".join(str(n) for n in dict.fromkeys([counts[0], counts[-1]])))
    if len(tested) < len(measured):
        said.append("one run each, no test" if not tested else "no test of one run each")
    if margin := max(pair.margin for pair in pairs):
        said.append(f"margin {margin:.2f}")
    wrong = [pair for pair in measured if pair in against]
    undecided = [pair for pair in measured if pair.p > LEVEL and pair not in wrong]
    if wrong:
        said.append("against it: " + _named(wrong, [1 - pair.p for pair in wrong]))
    if undecided:
        said.append("undecided: " + _named(undecided, [pair.p for pair in undecided]))
    if tested and not wrong and not undecided:
        said.append(_p(max(tested), "≤" if len(tested) > 1 else "="))
    return said


def _named(pairs: list[Pair], ps: list[float]) -> str:
    """Each couple of nets once, with its largest p."""
    couples: dict[str, str] = {}
    for p, pair in sorted(zip(ps, pairs, strict=True), key=lambda one: one[0]):
        names = " and ".join(filter(None, (pair.left.name, pair.right.name)))
        couples[names] = f"{names} ({_p(p)})" if pair.tested else names
    return ", ".join(couples.values())


def _p(p: float, sign: str = "=") -> str:
    return "p < 0.001" if p < 0.001 else f"p {sign} {p:.2g}"
