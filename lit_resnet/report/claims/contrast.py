"""A weighted sum of means over runs, its uncertainty, and the test of whether it is below a bound.

Two things are uncertain in an error. Another seed gives another net: this is the spread over the runs. And other test
images would give another error, however many runs there are: of 500 images 2 % is 10 of them, and 2.4 % is 12. The
second part is the same for all runs of a net, so that more runs do not lessen it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean, stdev

import numpy as np

# Two runs of one and the same net are nearer than this many std in 19 of 20 cases (the repeatability limit of
# ISO 5725): "like", "comparable" and "no worse" mean nearer than that.
REPEATABLE = 1.96 * math.sqrt(2)
TINY = 1e-12  # a probability that is as good as 0


@dataclass(frozen=True, eq=False)
class Sample:
    """One number over the finished runs of a net.

    Args:
        name: The net.
        values: One value per run; empty where no run is finished yet.
        grain: The least difference that there can be between two values, such as an image more that is wrong: a few
            runs may agree by chance, and are not without a spread.
        images: The number of test images of which the values are error rates in percent; None for other numbers, and
            where it is not known.
        wrong: For each run whether each test image was classified wrongly, bool [images], where runs have kept that.
        lacking: What is said of it where there is no value.
    """

    name: str
    values: tuple[float, ...]
    grain: float = 0.0
    images: int | None = None
    wrong: tuple[np.ndarray, ...] = ()
    lacking: str = "missing"

    @property
    def n(self) -> int:
        """Number of runs."""
        return len(self.values)

    @property
    def mean(self) -> float:
        """Mean over the runs."""
        return fmean(self.values)

    @property
    def std(self) -> float:
        """Sample standard deviation, at least the grain; 0 for one value."""
        return max(stdev(self.values), self.grain) if self.n > 1 else 0.0


@dataclass(frozen=True)
class Margin:
    """By how much the sum may be above 0 and still count as below it.

    Args:
        points: Fixed, in the unit of the values; the least one where the runs' own spread counts. Below 0 the sum has
            to be that far below it.
        own: Whether it is `REPEATABLE` times the std over the runs that are compared, where that is more.
        of: Whose published spread it is of, to be named where its number stands.
    """

    points: float = 0.0
    own: bool = False
    of: str = ""


NO_MARGIN = Margin()


@dataclass(frozen=True, eq=False)
class Contrast:
    """The claim that `sum(weight * mean)` over some samples is below `bound`, or beyond it by less than a margin.

    It takes `least` runs of each net to test that.
    """

    samples: tuple[Sample, ...]
    weights: tuple[float, ...]
    bound: float = 0.0
    margin: Margin = NO_MARGIN
    least: int = 2

    @property
    def measured(self) -> bool:
        """Whether every net has a finished run."""
        return all(sample.values for sample in self.samples)

    @property
    def tested(self) -> bool:
        """Whether every net has several runs, and these a spread to test by: one run has none, whatever others have."""
        return all(sample.n >= self.least for sample in self.samples) and self.variance > 0

    @cached_property
    def value(self) -> float:
        """How far the weighted sum of means is above the bound."""
        return sum(w * sample.mean for w, sample in zip(self.weights, self.samples, strict=True)) - self.bound

    @cached_property
    def parts(self) -> list[tuple[float, int]]:
        """The variance of each net's part of the sum over seeds, and its degrees of freedom."""
        pairs = zip(self.weights, self.samples, strict=True)
        return [(w**2 * sample.std**2 / sample.n, sample.n - 1) for w, sample in pairs]

    @property
    def paired(self) -> bool:
        """Whether it is of two models, one run of each net, which can be compared image by image."""
        return len(self.samples) == 2 and all(len(sample.wrong) == sample.n == 1 for sample in self.samples)

    @cached_property
    def of_images(self) -> float:
        """The variance of the sum over test images."""
        return images_variance(self.samples, self.weights)

    @cached_property
    def variance(self) -> float:
        """Of the sum: over seeds, and over test images."""
        return sum(part for part, _ in self.parts) + self.of_images

    @property
    def room(self) -> float:
        """The margin in points.

        Of the runs' own spread it is that of the net which spreads least: one that ends anywhere is not like all.
        """
        return self._room(min(sample.std for sample in self.samples))

    @cached_property
    def p(self) -> float:
        """Probability of a sum that low, or lower, if the true one were at the margin. Only where it is tested.

        The test of Cochran and Cox (1950), for any number of samples: Student's t, whose critical value is the mean of
        those of all parts, by their share of the variance. It needs no equal spreads: a net that degrades scatters far
        more than one that trains. Unlike Welch's test, which is wrong in up to 7 % of cases with 5 runs beside 2, it
        keeps to its level, however few runs there are. The variance over test images is known, as if of endless runs.
        """
        from scipy.optimize import root_scalar
        from scipy.special import stdtrit  # what scipy.stats.t.ppf calls, at a hundredth of its time

        parts = [*self.parts, (self.of_images, math.inf)]
        shares, freedom = np.array([part for part, _ in parts]) / self.variance, np.array([df for _, df in parts])
        reached = (self.value - self.room) / math.sqrt(self.variance)
        # The root is a probability; beyond these ends the answer is "surely" either way.
        low, high = TINY, 1 - TINY
        if reached <= shares @ stdtrit(freedom, low):
            return low
        if reached >= shares @ stdtrit(freedom, high):
            return high
        found = root_scalar(lambda p: shares @ stdtrit(freedom, p) - reached, bracket=(low, high), xtol=TINY)
        return float(found.root)

    @cached_property
    def opposite(self) -> float:
        """Probability of a sum that high, or higher, if the true one were at the margin. Only where it is tested.

        A margin of the runs' own spread is then that of the net which spreads most, and as uncertain as that is: the
        sum over its std is compared with its noncentral t-distribution, of the fewest degrees of freedom.
        """
        room = self._room(max(sample.std for sample in self.samples))
        if not self.margin.own or room <= self.margin.points:  # then it is that of `p`, too
            return 1 - self.p
        if self.value <= 0:
            return 1.0  # nct.cdf fails there
        from scipy.stats import nct  # takes a second to import

        std = math.sqrt(self.variance)
        return 1 - float(nct.cdf(self.value / std, min(df for _, df in self.parts), room / std))

    def _room(self, spread: float) -> float:
        return max(self.margin.points, REPEATABLE * spread) if self.margin.own else self.margin.points


def images_variance(samples: Sequence[Sample], weights: Sequence[float]) -> float:
    """The variance of a weighted sum of error rates, in percent squared, that other test images would give it.

    Where all runs have kept which images they had wrong, nets are compared image by image: it is the variance over the
    images of the weighted sum of each net's mean over runs, less what that has from the choice of seeds, which counts
    there; of nets of one run each, of which that is not known, it is that of these very models. Else it is the binomial
    one of each net, as if nets erred on images of their own; that is too much. Nets that are compared are tested on the
    same images, so that one run which knows their number is enough.
    """
    known = [sample.images for sample in samples if sample.images]
    if not known or not all(sample.values for sample in samples):
        return 0.0
    if all(len(sample.wrong) == sample.n for sample in samples) and len({s.images for s in samples}) == 1:
        images = samples[0].images
        assert images
        means, within = np.zeros(images), 0.0
        for weight, sample in zip(weights, samples, strict=True):
            wrong = np.stack(sample.wrong).astype(float)
            means += weight * wrong.mean(0)
            within += weight**2 * wrong.var(0, ddof=1).mean() / sample.n if sample.n > 1 else 0.0
        return 1e4 * max(0.0, float(means.var()) - within) / images
    rates = [min(max(sample.mean, 0.0), 100.0) for sample in samples]
    return sum(w**2 * rate * (100 - rate) for w, rate in zip(weights, rates, strict=True)) / min(known)
