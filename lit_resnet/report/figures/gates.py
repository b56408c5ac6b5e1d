"""What part of the signal the shortcuts of gated nets carry: 1 - g, by block and over the training."""

from collections import defaultdict
from collections.abc import Sequence
from math import isfinite
from statistics import fmean

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lit_resnet.report.figures import style
from lit_resnet.report.figures.drawing import Drawn, labels_of, look_of
from lit_resnet.report.runs import FinishedCell

Shares = dict[int, list[float]]  # by the logged iteration, 1 - g of each block


def shares(cells: Sequence[FinishedCell]) -> Drawn:
    """The share 1 - g of each shortcut in the first and the last logged iteration, and over all of them."""
    found = [(cell, of_cell) for cell in cells if (of_cell := _shares(cell))]
    if not found:
        return None, "No finished run has logged gates: most nets have none."
    figure = Figure(figsize=(8, 3.6), layout="constrained")
    by_block, by_step = figure.subplots(1, 2, sharey=True)
    for (label, marker), (cell, of_cell) in zip(labels_of([cell for cell, _ in found]), found, strict=True):
        steps = sorted(of_cell)
        first, last = of_cell[steps[0]], of_cell[steps[-1]]
        blocks = range(1, len(last) + 1)
        look = look_of(cell, marker, len(last))
        by_block.plot(blocks, first, **look, **style.TRAIN_LINE)
        by_block.plot(blocks, last, label=label, **look, **style.RESIDUAL_LINE)
        look = look_of(cell, marker, len(steps))
        by_step.plot(steps, [fmean(of_cell[step]) for step in steps], **look, **style.RESIDUAL_LINE)
        low, high = ([extreme(of_cell[step]) for step in steps] for extreme in (min, max))
        by_step.fill_between(steps, low, high, color=look["color"], alpha=0.12, linewidth=0)
    by_block.set_xlabel("block, from the first to the last")
    by_block.xaxis.set_major_locator(MaxNLocator(integer=True))
    by_step.set_xlabel("iteration")
    by_block.set_ylabel("share of the shortcut, 1 - g")
    by_block.set_ylim(-0.03, 1.03)
    for text in figure.legend(loc="outside lower center", ncols=2).get_texts():
        text.set_parse_math(False)
    caption = (
        "What the shortcut of each block is multiplied by, 1 - g: the mean over a batch, all channels and "
        "positions, and over the seeds. Left: by block, in the first logged iteration (dashed) and in the last "
        "(solid). Right: the mean over the blocks, with a band from the lowest to the highest of them. At 1 a "
        "shortcut is an identity; at 0 it is shut. Under exclusive gating the residual function is multiplied by "
        "g."
    )
    return figure, caption


def _shares(cell: FinishedCell) -> Shares:
    """The mean over the seeds that did not diverge; of the iterations that all of them have logged."""
    seeds: dict[int, list[list[float]]] = defaultdict(list)
    for run in cell.gates:
        for step, rows in run.items():
            seeds[step].append([1 - row["opening"] for row in rows])
    means = {
        step: [fmean(block) for block in zip(*blocks, strict=True)]
        for step, blocks in seeds.items()
        if len(blocks) == len(cell.gates)
    }
    return {step: blocks for step, blocks in means.items() if all(map(isfinite, blocks))}
