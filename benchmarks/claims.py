"""How often is a verdict on a sentence wrong, and how often does a perfect reproduction get the right one?

    python benchmarks/claims.py --draws 2000

Runs are made up: errors around a true value with a normal spread over seeds, in steps of a test image. Each line is a
number of draws of all runs, judged by the code of the reports. `docs/claims.md` has the tables that this prints.
"""

import argparse
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from lit_resnet import paper
from lit_resnet.report.claims.compare import Comparison, deeper, limit, pair, verdict
from lit_resnet.report.claims.contrast import REPEATABLE, Margin, Sample

STD = 0.25  # points, where the spread is not what is looked at
RUNS = ((1, 1), (1, 5), (2, 2), (5, 2), (2, 5), (3, 3), (5, 3), (5, 5))
SPREADS = (1, 3, 17)  # times that of the other net
STDS = (0.16, 0.25, 0.35)  # of ResNets on CIFAR-10: the paper's, and others'
SEEDS = ((1,) * 5, (1, 1, 1, 1, 5), (2,) * 5, (3,) * 5, (4,) * 5, (5,) * 5)
TABLE6 = tuple(row.get("mean", row["error"]) for row in paper.load()["table6"]["rows"] if row.get("depth", 999) <= 110)
Draw = Callable[[np.random.Generator], Sequence[Comparison]]


def sample(rng: np.random.Generator, mean: float, std: float, runs: int, images: int | None) -> Sample:
    """Runs of a net."""
    values = mean + std * rng.standard_normal(runs)
    if images:
        values = np.round(np.clip(values, 0, 100) * images / 100) * 100 / images
    return Sample("net", tuple(values.tolist()), 100 / images if images else 0.0, images)


def shares(draw: Draw, draws: int) -> str:
    """How often a sentence is said to hold, and not to hold."""
    rng = np.random.default_rng(0)
    found = Counter(verdict(draw(rng)) for _ in range(draws))
    return f"{100 * found['holds'] / draws:.1f} | {100 * found['does not hold'] / draws:.1f}"


def no_difference(draws: int) -> None:
    """Two nets, and five depths, of the same true error."""
    print(
        "\n| runs of the two nets | spreads | images | holds % | does not hold % |\n| --- | --- | --- | ---: | ---: |"
    )
    for runs in RUNS:
        for spread in SPREADS:
            for images in (None, 500):

                def two(rng: np.random.Generator, runs=runs, spread=spread, images=images) -> list[Comparison]:
                    left, right = (sample(rng, 5, STD * by, n, images) for n, by in zip(runs, (1, spread), strict=True))
                    return [pair(left, "<", right)]

                print(f"| {runs[0]}, {runs[1]} | 1:{spread} | {images or 'not counted'} | {shares(two, draws)} |")
    print("\n| runs of five depths | spreads | holds % | does not hold % |\n| --- | --- | ---: | ---: |")
    for seeds in SEEDS:
        for spreads in ((1,) * 5, (1, 1, 1, 3, 17), (17, 1, 1, 1, 1)):

            def line(rng: np.random.Generator, seeds=seeds, spreads=spreads) -> list[Comparison]:
                nets = [sample(rng, 5, STD * by, n, None) for n, by in zip(seeds, spreads, strict=True)]
                return deeper(nets, ">")

            print(f"| {text(seeds)} | {':'.join(map(str, spreads))} | {shares(line, draws)} |")


def at_the_margin(draws: int) -> None:
    """Two nets that are just as far apart as two runs of one net may be, said to be alike, or not.

    Of a margin out of the runs' own spread that is the net that spreads least, or most.
    """
    print("\n| margin | runs | spreads | alike % | not alike % |\n| --- | --- | --- | ---: | ---: |")
    for runs in RUNS[2:]:
        for spread in SPREADS:
            least, most = REPEATABLE * STD, REPEATABLE * STD * spread
            kinds = {
                "own, apart by the lesser spread": (Margin(own=True), least),
                "own, apart by the larger spread": (Margin(own=True), most),
                "fixed": (Margin(least), least),
            }
            for name, (margin, apart) in kinds.items():

                def alike(rng, runs=runs, spread=spread, margin=margin, apart=apart) -> list[Comparison]:
                    left = sample(rng, 5 + apart, STD, runs[0], None)
                    right = sample(rng, 5, STD * spread, runs[1], None)
                    return [pair(left, sign, right, margin) for sign in ("<", ">")]

                print(f"| {name} | {runs[0]}, {runs[1]} | 1:{spread} | {shares(alike, draws)} |")


def reproduction(draws: int) -> None:
    """Nets that are those of Table 6, up to 110 layers: the deeper, the lower the test error."""
    print("\n| std | runs of each depth | by the trend: holds % | does not hold % | by the steps alone: holds % |")
    print("| ---: | --- | ---: | ---: | ---: |")
    for std in STDS:
        for seeds in SEEDS:

            def line(rng: np.random.Generator, std=std, seeds=seeds) -> list[Comparison]:
                nets = [sample(rng, error, std, n, 10_000) for error, n in zip(TABLE6, seeds, strict=True)]
                return deeper(nets, ">")

            def steps(rng: np.random.Generator, line=line) -> list[Comparison]:
                return [pair(*one.shown[:1], ">", *one.shown[1:]) for one in line(rng) if one.step]

            alone = shares(steps, draws).partition(" |")[0]
            print(f"| {std:g} | {text(seeds)} | {shares(line, draws)} | {alone} |")
    print("\n| plain-110's error, limit 60 % | runs | holds % | does not hold % |\n| ---: | --- | ---: | ---: |")
    for mean in (55, 60, 65):
        for n in (1, 2, 3, 5):

            def far(rng: np.random.Generator, mean=mean, n=n) -> list[Comparison]:
                return [limit(sample(rng, mean, 2.0, n, 10_000), ">", 60)]

            print(f"| {mean} | {n} | {shares(far, draws)} |")


def text(seeds: Iterable[int]) -> str:
    """`3 each`, or the numbers."""
    counts = list(seeds)
    return f"{counts[0]} each" if len(set(counts)) == 1 else ", ".join(map(str, counts))


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=2000, help="of all runs, a line (default: %(default)s)")
    draws = parser.parse_args().draws
    print(f"{draws:,} draws a line: 5 % is known to ±{196 * (0.05 * 0.95 / draws) ** 0.5:.1f} points (95 %)")
    no_difference(draws)
    at_the_margin(draws)
    reproduction(draws)


if __name__ == "__main__":
    main()
