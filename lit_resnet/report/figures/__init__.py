"""Figures of a report, in the manner of the paper's, drawn from run folders."""

from pkgutil import resolve_name

from matplotlib import rc_context

from lit_resnet.grid import exhibits
from lit_resnet.grid.exhibits import FigureEntry
from lit_resnet.report.figures import style
from lit_resnet.report.figures.drawing import Drawing
from lit_resnet.report.looks import of_net
from lit_resnet.report.runs import FinishedCell, FinishedRun, GridRuns


def draw(runs: GridRuns) -> list[Drawing]:
    """Draw the figures that the grid asks for, in its order, from its finished runs.

    For a grid that names none they are those of `exhibits.DEFAULT` that there is something to draw of.

    Raises:
        InputError: A metrics.csv, or a record of its layers, is damaged.
    """
    asked = runs.grid.figures
    drawings = [_draw(exhibits.FIGURES[name], runs.cells) for name in (exhibits.DEFAULT if asked is None else asked)]
    return [drawing for drawing in drawings if drawing.figure or asked is not None]


def of_run(run: FinishedRun) -> list[Drawing]:
    """Draw, from one finished run alone, the figures that W&B shows as an image of each run; those it has data for.

    Raises:
        InputError: A file of the run is damaged.
    """
    cells = (FinishedCell(run.cell, (run,), of_net(run.summary.net_config)),)
    drawings = [_draw(entry, cells) for entry in exhibits.FIGURES.values() if entry.panels == "images"]
    return [drawing for drawing in drawings if drawing.figure]


def _draw(entry: FigureEntry, cells: tuple[FinishedCell, ...]) -> Drawing:
    """The entry's figure of those cells that have a net of its kinds."""
    function = resolve_name(f"{__name__}.{entry.draw}")
    with rc_context(style.RC):
        figure, caption = function(tuple(cell for cell in cells if cell.kind in entry.nets))
    return Drawing(entry.name, entry.title, caption, figure)
