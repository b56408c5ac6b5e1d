"""Figures of a report, in the manner of the paper's, drawn from run folders."""

from matplotlib import rc_context

from lit_resnet.report.figures import curves, style
from lit_resnet.report.figures.drawing import Drawing
from lit_resnet.report.figures.iterations import fig1, fig4, fig6
from lit_resnet.report.figures.layers import fig7, gradients
from lit_resnet.report.runs import GridRuns


def draw(runs: GridRuns) -> list[Drawing]:
    """The figures that the grid asks for, in its order; unfinished runs are left out, and VGG, which is in none.

    Raises:
        InputError: A metrics.csv, responses.csv or signals.csv is damaged.
    """
    cells = tuple(cell for cell in runs.cells if cell.plain or cell.residual)
    errors = [curves.read(cell) for cell in cells]
    makers = {
        "fig1": lambda: fig1(errors),
        "fig4": lambda: fig4(errors),
        "fig6": lambda: fig6(errors),
        "fig7": lambda: fig7(cells),
        "gradients": lambda: gradients(cells),
    }
    with rc_context(style.RC):
        return [makers[name]() for name in runs.grid.figures]
