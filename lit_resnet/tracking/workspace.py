"""The W&B report of a grid: our tables beside the paper's in the text, and W&B's own panels over the mirrored runs.

::

    found = runs.read(Asked("fig6"))
    url = publish(build(found, "my-team", "lit-resnet", "lit-resnet launch fig6"))

Numbers in the text come from the run folders, and the paper's from printed.yaml; curves, images and the list of runs
are drawn by W&B from what it has. Panels and blocks are those of wandb-workspaces, an extra of the package.
"""

import re
from collections import Counter
from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure

from lit_resnet.errors import InputError
from lit_resnet.grid import exhibits
from lit_resnet.metrics import TEST_ERROR, TRAIN_ERROR, Metric
from lit_resnet.report import claims, figures, tables
from lit_resnet.report.figures import sweep
from lit_resnet.report.figures.drawing import Drawing
from lit_resnet.report.runs import FinishedCell, GridRuns
from lit_resnet.report.tables.cells import printed_error, spread, training
from lit_resnet.report.tables.table import NONE
from lit_resnet.tracking import session
from lit_resnet.tracking.entry import flat_axes
from lit_resnet.tracking.session import STEP

if TYPE_CHECKING:
    import wandb_workspaces.reports.v2.interface as wr
    from matplotlib.axes import Axes

LONGEST_TITLE = 128
WIDTH, HEIGHT, MOST_COLUMNS = 24, 10, 3  # of a grid of panels and of a panel, in W&B's units; and panels side by side
LINES = (
    "Lines are means over the seeds of a cell, bands reach from the lowest to the highest seed. W&B also draws seeds "
    "that are not finished. What ends above the axis is not drawn: the errors of all nets are below."
)
POINTS = "A point is a finished run, so that a cell has one for each seed; the figure of the report draws their means."


def columns(found: GridRuns) -> list[str]:
    """The columns of the list of runs, as W&B names them; it keeps what a config key says under `value`."""
    headline = found.headline.name
    others = [metric.name for metric in found.final if metric.name != headline]
    summary = ["state", headline, *([f"paper/{headline}"] if TEST_ERROR in found.grid.task.final else []), *others]
    return [
        *("run:displayName", "config:cell.value", "config:seed.value"),
        *(f"summary:{key}" for key in (*summary, "params", "gflops", "steps", "wall_seconds")),
    ]


def build(found: GridRuns, entity: str, project: str, command: str) -> "wr.Report":
    """The report, which is not sent anywhere yet.

    Args:
        found: The grid's runs.
        entity: Whose project it is, a user's or a team's.
        project: Where the runs are mirrored.
        command: The command line that makes all of it again.

    Raises:
        InputError: wandb-workspaces is not installed, or a file of a run is damaged.
    """
    blocks = _Blocks(_library(), found, entity, project)
    wr = blocks.wr
    parts = [*blocks.introduction(command), wr.TableOfContents()]
    for name, table in tables.make(found).items():
        entry = exhibits.TABLES.get(name, exhibits.ALL_NETS)
        parts += [wr.H2(entry.title), wr.MarkdownBlock(table.markdown())]
    for drawing in figures.draw(found):
        parts += [wr.H2(drawing.title), *blocks.figure(drawing)]
    if (checked := claims.check(found)).found:
        parts += [wr.H2("The paper's sentences"), wr.MarkdownBlock(checked.markdown())]
    parts += [wr.H2("All runs"), blocks.list_of_runs()]
    # W&B makes the title part of the address, and escapes nothing.
    title = " ".join(re.sub(r"[/\\?#%]", " ", found.grid.title).split())[:LONGEST_TITLE]
    description = f"Grid {found.grid.name}, written by lit-resnet: made again, it is overwritten"
    return wr.Report(
        project=project,
        entity=entity,
        title=title or found.grid.name[:LONGEST_TITLE],
        description=description,
        blocks=parts,
        width="fluid",
    )


def publish(report: "wr.Report") -> str:
    """Save it and return its address. The report of the same grid in that project, if there is one, is overwritten.

    It is published: whoever may see the project can open the address. A draft could be read by its author alone.

    Raises:
        InputError: The user is not logged in, or W&B has no such project.
        Unreachable: The server does not answer, or does not take it.
    """
    where = f"{report.entity}/{report.project}"
    with session.reaching():
        try:
            there = session.reader().reports(where)
            report.id = next((old.id for old in there if old.description == report.description), "")
            return report.save().url
        except ValueError:
            raise InputError(
                f"W&B: no project {where}: run lit-resnet wandb sync first, or set WANDB_PROJECT"
            ) from None


class _Blocks:
    """Makes the blocks of the report of one grid."""

    def __init__(self, wr: ModuleType, found: GridRuns, entity: str, project: str) -> None:
        self.wr, self.found, self.entity, self.project = wr, found, entity, project

    def introduction(self, command: str) -> "list[wr.P]":
        """Which grid, on what it was trained, how many of its runs are finished, and the command that repeats it."""
        grid, p = self.found.grid, self.wr.P
        unfinished = Counter(run.cell for run in self.found.runs if not run.summary)
        missing = ", ".join(f"{cell} ({n} run{'s' if n > 1 else ''})" for cell, n in unfinished.items())
        return [
            p(f"{grid.title}. Grid {grid.name}: {training(self.found)}."),
            p(f"{self.found.progress()}." + (f" Missing in the numbers: {missing}." if missing else "")),
            p(["The same again: ", self.wr.InlineCode(command)]),
        ]

    def figure(self, drawing: Drawing) -> "list[wr.P | wr.PanelGrid]":
        """The panels of a figure and words about them; words alone where there is nothing to draw."""
        p = self.wr.P
        if drawing.figure is None:
            return [p(drawing.caption)]
        entry = exhibits.FIGURES[drawing.name]
        if entry.panels is None:
            return [p(f"Not in W&B: lit-resnet report draws it, as figures/{drawing.name}.png.")]
        if entry.panels == "axes":
            return self._over_axes(drawing.figure)
        if entry.panels == "curves" and None in entry.nets:  # of any grid
            return self._curves_of_any(drawing.figure)
        groups = {kind: [cell for cell in self.found.cells if cell.kind == kind] for kind in entry.nets}
        run_sets = [self._run_set(f"{kind or 'other'} nets", cells) for kind, cells in groups.items() if cells]
        if entry.panels == "images":
            panel = self.wr.MediaBrowser(media_keys=[entry.name], num_columns=2, layout=self._place(0, 1))
            words = p(f"An image of each run: {entry.about}.")
            return [self.wr.PanelGrid(run_sets, panels=[panel]), words]
        cells = [cell for cells in groups.values() for cell in cells]
        axes = drawing.figure.axes[0]  # whose scale the others share
        panels = self._curves([(TRAIN_ERROR, axes), (self.found.headline, axes)])
        return [self.wr.PanelGrid(run_sets, panels=panels), p(LINES), p(self._errors(cells))]

    def list_of_runs(self) -> "wr.PanelGrid":
        """Every run of the grid that W&B has, by name."""
        order = [self.wr.OrderBy("Name", ascending=True)]
        first, *others = columns(self.found)
        shown = {"pinned_columns": [first], "visible_columns": others, "lock_columns": True}
        return self.wr.PanelGrid([self._run_set("all runs", order=order, **shown)])

    def _curves_of_any(self, figure: Figure) -> "list[wr.P | wr.PanelGrid]":
        """What the figure draws: of many cells the best ones."""
        best = sweep.foremost(self.found.cells)
        run_set = self._run_set("all nets")
        if len(best) < len(self.found.cells):
            run_set = self._run_set(f"the {len(best)} best nets", best)
        final = {metric.name: metric for metric in self.found.final}
        titled = {axes.get_title(): axes for axes in figure.axes}
        metrics = [(final[one.name], titled.get(one.label, figure.axes[0])) for one in sweep.lines_of(best)]
        return [self.wr.PanelGrid([run_set], panels=self._curves(metrics)), self.wr.P(LINES)]

    def _curves(self, metrics: "Sequence[tuple[Metric, Axes]]") -> "list[wr.LinePlot]":
        """Metrics over the iterations, each on the scale of drawn axes, on which every net's end can be read."""
        return [
            self.wr.LinePlot(
                title=metric.label,
                x=STEP,
                y=[metric.name],
                title_x="iteration",
                title_y=metric.head,
                groupby=self.wr.Config("cell"),
                groupby_aggfunc="mean",
                groupby_rangefunc="minmax",
                smoothing_type="none",
                max_runs_to_show=len(self.found.runs),  # otherwise W&B draws ten
                layout=self._place(i, len(metrics)),
                **_scale(axes),
            )
            for i, (metric, axes) in enumerate(metrics)
        ]

    def _over_axes(self, figure: Figure) -> "list[wr.P | wr.PanelGrid]":
        """The headline metric over each axis that is drawn, a point for each finished run."""
        headline, places = self.found.headline, flat_axes(self.found.grid)
        drawn = [ax for ax in figure.axes if ax.get_xlabel() in places]  # others fill up a row
        panels = [
            self.wr.ScatterPlot(
                title=f"{headline.head} over {ax.get_xlabel()}",
                x=self.wr.Config(places[ax.get_xlabel()]),
                y=self.wr.SummaryMetric(headline.name),
                log_x=ax.get_xscale() == "log",  # W&B has no scale that is logarithmic but for a linear part about 0
                log_y=ax.get_yscale() == "log",
                layout=self._place(i, len(drawn)),
            )
            for i, ax in enumerate(drawn)
        ]
        return [self.wr.PanelGrid([self._run_set("finished runs", done=True)], panels=panels), self.wr.P(POINTS)]

    def _errors(self, cells: Sequence[FinishedCell]) -> str:
        """`Test error in percent, ours (the paper's): residual-20 8.71 (8.75), ...`."""
        headline = self.found.headline
        errors = [f"{cell.name} {spread(cell.over_seeds(headline))} ({printed_error(cell) or NONE})" for cell in cells]
        words = f"{headline.first} in percent, ours (the paper's, of a single view as ours): "
        return f"{words}{', '.join(errors)}."

    def _run_set(self, name: str, cells: Sequence[FinishedCell] = (), done: bool = False, **shown: Any) -> "wr.Runset":
        """The grid's runs, or those of some cells, or those that are done."""
        filters = f"Metric('Group') == {_literal(self.found.grid.name)}"
        if cells:
            filters += f" and Config('cell') in [{', '.join(_literal(cell.name) for cell in cells)}]"
        if done:
            filters += " and SummaryMetric('state') == 'done'"
        return self.wr.Runset(self.entity, self.project, name, filters=filters, **shown)

    def _place(self, i: int, panels: int) -> "wr.Layout":
        """The place of the i-th of so many panels."""
        columns = min(panels, MOST_COLUMNS)
        row, column = divmod(i, columns)
        return self.wr.Layout(column * WIDTH // columns, row * HEIGHT, WIDTH // columns, HEIGHT)


def _scale(axes: "Axes") -> dict[str, Any]:
    """Keywords of a panel whose y axis is that of the drawn axes."""
    linear = axes.get_yscale() == "linear"
    return {"range_y": tuple(map(float, axes.get_ylim()))} if linear else {"log_y": True}


def _literal(text: str) -> str:
    """Text as a literal of a filter. wandb-workspaces makes == of every =, even in quotes, and parses it as Python."""
    return re.sub("[=<>]", lambda sign: f"\\x{ord(sign[0]):02x}", ascii(text))


def _library() -> ModuleType:
    try:
        import wandb_workspaces.reports.v2 as wr
    except ModuleNotFoundError:
        raise InputError("W&B reports need wandb-workspaces: pip install wandb-workspaces") from None
    return wr
