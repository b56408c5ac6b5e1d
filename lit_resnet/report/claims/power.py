"""How many runs of each net it takes to decide a sentence, if the paper's errors and its spread are right."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from lit_resnet import paper
from lit_resnet.grid.grid import Grid
from lit_resnet.nested import value_at
from lit_resnet.report.claims import alike
from lit_resnet.report.claims.compare import LEVEL, Comparison
from lit_resnet.report.claims.contrast import REPEATABLE
from lit_resnet.report.claims.measures import CENTER, TEN_CROP, TEST
from lit_resnet.report.claims.sentences import CHECKS
from lit_resnet.report.runs import GridRuns

WANTED = 0.9  # probability of a verdict
MOST = 20  # runs of a net
DRAWS = 4000  # made-up repetitions of all runs: the probability is known to half a point
# Of the printed errors: the column, the images that the errors are of, and the tables.
PRINTED = {
    "cifar": ("error", 10_000, "table6", "identity-table1", "identity-table2", "identity-table3"),
    "imagenet": ("top1", 50_000, "table2", "table3"),
}


@dataclass(frozen=True)
class Needed:
    """A sentence about nets of which the paper printed the errors.

    Args:
        sentence: The sentence.
        runs: Runs of each net with which it is found to hold in `WANTED` of all cases; None if `MOST` are too few.
        std: The std over seeds that is assumed, in points.
        of: What that is the std of.
    """

    sentence: str
    runs: int | None
    std: float
    of: str

    def __str__(self) -> str:
        """In words, for the plan."""
        if self.runs is None:
            why = f"{MOST} runs of each net do not decide it by these test images, unless it is image by image"
        else:
            why = f"{self.runs} runs of each net decide it in {100 * WANTED:g} % of cases"
        return f"“{self.sentence}”: {why} (if the paper's errors are right, and a std of {self.std:g}, as of {self.of})"


def needed(grid: Grid) -> list[Needed]:
    """For each sentence whose nets the papers have errors of, the runs that it takes; other sentences are left out.

    So are sentences that these errors speak against, as the sequel's do against one of the first paper. None where a
    cell is not trained on the paper's data, for as many iterations as there.
    """
    if not all(_as_in_the_paper(grid.config(cell)) for cell in grid.cells):
        return []
    found, groups = [], alike.groups(GridRuns(grid, Path(), ()))
    for name, printed in paper.load()["claims"].items():
        for group in groups if "sentence" in printed else ():
            if printed.get("family", group.family) != group.family:
                continue
            family, spread = group.family, _spread(group.family)
            asked = CHECKS[name](group)
            errors = _errors(group)
            comparisons = [one for measure, one in asked if measure in (TEST, CENTER, TEN_CROP)]
            nets = {sample.name for one in comparisons for sample in one.contrast.samples}
            if not comparisons or len(comparisons) < len(asked) or not nets <= errors.keys():
                continue
            if not all(_is_so(one, errors, spread.std) for one in comparisons):
                continue
            counts = range(2, MOST + 1)
            enough = (n for n in counts if power(comparisons, errors, spread.std, n, PRINTED[family][1]) >= WANTED)
            sentence = printed["sentence"].format(value=printed.get("value"))
            found.append(Needed(sentence, next(enough, None), spread.std, spread.of))
    return found


def power(
    comparisons: Sequence[Comparison], errors: dict[str, float], std: float, runs: int, images: int | None
) -> float:
    """The probability that all comparisons pass their tests, with so many runs of each net.

    Args:
        comparisons: Those of a claim.
        errors: The true error of each net on these test images, by name, in percent.
        std: Of each net over seeds, in points.
        runs: Of each net, 2 or more.
        images: To test on; None if their number is not to count. They are taken to be compared net by net, not image
            by image.
    """
    from scipy.stats import norm, t

    rng, draws = np.random.default_rng(0), {}
    for name, error in errors.items():
        means = error + std / math.sqrt(runs) * rng.standard_normal(DRAWS)
        draws[name] = means, std**2 * rng.chisquare(runs - 1, DRAWS) / (runs - 1) / runs
    seeds, known = float(t.ppf(LEVEL, runs - 1)), float(norm.ppf(LEVEL))
    passed = np.ones(DRAWS, bool)
    for one in comparisons:
        contrast = one.contrast
        pairs = [(weight, sample.name) for weight, sample in zip(contrast.weights, contrast.samples, strict=True)]
        room = contrast.margin.points
        if contrast.margin.own:
            room = np.maximum(room, REPEATABLE * np.sqrt(runs * np.min([draws[name][1] for _, name in pairs], axis=0)))
        value = sum(weight * draws[name][0] for weight, name in pairs) - contrast.bound - room
        ours = sum(weight**2 * draws[name][1] for weight, name in pairs)
        of_images = sum(w**2 * errors[name] * (100 - errors[name]) / images for w, name in pairs) if images else 0.0
        variance = ours + of_images
        if one.step:
            passed &= value < 0
            continue
        passed &= value / np.sqrt(variance) <= (ours * seeds + of_images * known) / variance
    return float(passed.mean())


def _is_so(one: Comparison, errors: dict[str, float], std: float) -> bool:
    """Whether the errors themselves are as claimed, to within the margin."""
    contrast = one.contrast
    pairs = zip(contrast.weights, contrast.samples, strict=True)
    value = sum(weight * errors[sample.name] for weight, sample in pairs) - contrast.bound
    margin = contrast.margin
    return value < (max(margin.points, REPEATABLE * std) if margin.own else margin.points)


def _as_in_the_paper(config: dict[str, Any]) -> bool:
    """Whether a cell is trained on the paper's data, from fresh weights, for as many iterations as there."""
    if value_at(config, "model.start") is not None:
        return False
    asked = {"data": value_at(config, "data.source"), "steps": value_at(config, "trainer.max_steps")}
    tables = (paper.load()[table] for _, _, table, *_ in PRINTED.values())
    return asked in [{"data": table["data"], "steps": table["training"]["steps"]} for table in tables]


def _errors(group: alike.Group) -> dict[str, float]:
    """The printed error of each net of a group that has a number: of several runs the mean, or else the median."""
    column, _, *tables = PRINTED[group.family]
    found = {}
    for net, table in product(group.nets, tables):
        for row in paper.load()[table]["rows"]:
            if paper.is_row(net.config, table, row) and "data" not in row and row[column] != paper.FAIL:
                found[net.name] = row.get("mean", row[column])
    return found


def _spread(family: str) -> paper.Spread:
    data = paper.load()[PRINTED[family][2]]["data"]
    return next(spread for spread in paper.spreads() if spread.data == data)
