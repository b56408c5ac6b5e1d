"""The W&B report of a grid: our tables beside the paper's in the text, and W&B's own panels over the mirrored runs.

    found = runs.read("fig6", Path("runs"))
    url = publish(build(found, "my-team", "lit-resnet", "fig6"))

Numbers in the text are of the run folders, and the paper's of printed.yaml; curves, images and the list of runs are
drawn by W&B from what it has. Panels and blocks are those of wandb-workspaces, an extra of the package.
"""

import re
from collections import Counter
from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

from lit_resnet.errors import InputError
from lit_resnet.metrics import TEST_ERROR
from lit_resnet.report.claims import check as claims
from lit_resnet.report.figures import draw as figures
from lit_resnet.report.figures.drawing import Drawing
from lit_resnet.report.runs import Cell, GridRuns
from lit_resnet.report.tables import imagenet
from lit_resnet.report.tables import table as tables
from lit_resnet.tracking import session
from lit_resnet.tracking.session import STEP

if TYPE_CHECKING:
    import wandb_workspaces.reports.v2 as wr

LONGEST_TITLE = 128
WIDTH = 24  # of a grid of panels, in W&B's units
KINDS = {
    "fig1": ("plain",),
    "fig4": ("plain", "residual"),
    "fig6": ("plain", "residual"),
    "fig7": ("plain", "residual"),
}
LINES = (
    "Lines are means over the seeds of a cell, bands reach from the lowest to the highest seed. W&B also draws seeds "
    "that are not finished."
)


def columns(found: GridRuns) -> list[str]:
    """The columns of the list of runs, as W&B names them; it keeps what a config key says under `value`."""
    headline = found.headline.name
    others = [metric.name for metric in found.final if metric.name != headline]
    summary = ["state", headline, *([f"paper/{headline}"] if TEST_ERROR in found.grid.task.final else []), *others]
    return [
        *("run:displayName", "config:cell.value", "config:seed.value"),
        *(f"summary:{key}" for key in (*summary, "params", "gflops", "steps", "wall_seconds")),
    ]


def build(found: GridRuns, entity: str, project: str, asked: str) -> "wr.Report":
    """The report, which is not sent anywhere yet.

    Args:
        found: The grid's runs.
        entity: Whose project it is, a user's or a team's.
        project: Where the runs are mirrored.
        asked: The grid and its settings as the user wrote them, for the command that repeats it.

    Raises:
        InputError: wandb-workspaces is not installed, or a file of a run is damaged.
    """
    blocks = _Blocks(_library(), found, entity, project)
    wr = blocks.wr
    parts = [*blocks.introduction(asked), wr.TableOfContents()]
    for name, table in {**imagenet.make(found), "table": tables.make(found)}.items():
        heading = name.replace("table", "Table ") if name != "table" else "All nets"
        parts += [wr.H2(heading), wr.MarkdownBlock(table.markdown())]
    for drawing in figures.draw(found):
        parts += [wr.H2(drawing.title), *blocks.figure(drawing)]
    if (checked := claims.check(found)).found:
        parts += [wr.H2("The paper's sentences"), wr.MarkdownBlock(checked.markdown())]
    parts += [wr.H2("All runs"), blocks.list_of_runs()]
    # W&B makes the title part of the address, and escapes nothing.
    title = " ".join(re.sub(r"[/\\?#%]", " ", found.grid.title).split())[:LONGEST_TITLE]
    description = f"Grid {found.grid.name}, written by lit-resnet: made again, it is overwritten"
    return wr.Report(
        *(project, entity, title or found.grid.name[:LONGEST_TITLE], description),
        blocks=parts,
        width="fluid",
    )


def publish(report: "wr.Report") -> str:
    """Save it and return its address. The report of the same grid in that project, if there is one, is overwritten.

    It is published and no draft, which its author alone may read: whoever may see the project can open the address.

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
    """What the report of one grid is put together from."""

    def __init__(self, wr: ModuleType, found: GridRuns, entity: str, project: str) -> None:
        self.wr, self.found, self.entity, self.project = wr, found, entity, project

    def introduction(self, asked: str) -> "list[wr.P]":
        """Which grid, on what it was trained, how many of its runs are finished, and the command that repeats it."""
        grid, p = self.found.grid, self.wr.P
        unfinished = Counter(run.cell for run in self.found.runs if not run.summary)
        missing = ", ".join(f"{cell} ({n} run{'s' if n > 1 else ''})" for cell, n in unfinished.items())
        return [
            p(f"{grid.title}. Grid {grid.name}: {tables.training(self.found)}."),
            p(f"{self.found.progress()}." + (f" Missing in the numbers: {missing}." if missing else "")),
            p(["The same again: ", self.wr.InlineCode(f"lit-resnet launch {asked}")]),
        ]

    def figure(self, drawing: Drawing) -> "list[wr.P | wr.PanelGrid]":
        """Panels, and words on them; words alone where there is nothing to draw."""
        p = self.wr.P
        if drawing.figure is None:
            return [p(drawing.caption)]
        if drawing.name not in KINDS:
            return [p(f"Not in W&B: lit-resnet report draws it, as figures/{drawing.name}.png.")]
        groups = {kind: [cell for cell in self.found.cells if getattr(cell, kind)] for kind in KINDS[drawing.name]}
        run_sets = [self._run_set(f"{kind} nets", cells) for kind, cells in groups.items() if cells]
        if drawing.name == "fig7":
            panel = self.wr.MediaBrowser(media_keys=["fig7"], num_columns=2, layout=self._place(0, WIDTH))
            words = p("Standard deviation of each layer's response: an image of each run.")
            return [self.wr.PanelGrid(run_sets, panels=[panel]), words]
        cells = [cell for cells in groups.values() for cell in cells]
        return [self.wr.PanelGrid(run_sets, panels=self._curves(drawing)), p(LINES), p(self._errors(cells))]

    def list_of_runs(self) -> "wr.PanelGrid":
        """Every run of the grid that W&B has, by name."""
        order = [self.wr.OrderBy("Name", ascending=True)]
        first, *others = columns(self.found)
        shown = {"pinned_columns": [first], "visible_columns": others, "lock_columns": True}
        return self.wr.PanelGrid([self._run_set("all runs", order=order, **shown)])

    def _curves(self, drawing: Drawing) -> "list[wr.LinePlot]":
        """Training and test error on the scale of the drawn figure, on which every net's end can be read."""
        axes = drawing.figure.axes[0]
        linear = axes.get_yscale() == "linear"
        scale = {"range_y": tuple(map(float, axes.get_ylim()))} if linear else {"log_y": True}
        names = {metric.name: metric.label for metric in self.found.final}
        return [
            self.wr.LinePlot(
                title=names[metric],
                x=STEP,
                y=[metric],
                title_x="iteration",
                title_y="error (%)",
                groupby=self.wr.Config("cell"),
                groupby_aggfunc="mean",
                groupby_rangefunc="minmax",
                smoothing_type="none",
                max_runs_to_show=len(self.found.runs),  # otherwise W&B draws ten
                layout=self._place(i * WIDTH // 2, WIDTH // 2),
                **scale,
            )
            for i, metric in enumerate(("train_error", "test_error"))
        ]

    def _errors(self, cells: Sequence[Cell]) -> str:
        """`Test error in percent, ours (the paper's): residual-20 8.71 (8.75), ...`."""
        headline = self.found.headline
        errors = [
            f"{cell.name} {tables.spread(cell.over_seeds(headline))} ({tables.printed_error(cell) or tables.NONE})"
            for cell in cells
        ]
        words = f"{headline.label.capitalize()} in percent, ours (the paper's, of a single view as ours): "
        return f"{words}{', '.join(errors)}."

    def _run_set(self, name: str, cells: Sequence[Cell] = (), **shown: Any) -> "wr.Runset":
        """The grid's runs, or those of some cells."""
        filters = f"Metric('Group') == {_literal(self.found.grid.name)}"
        if cells:
            filters += f" and Config('cell') in [{', '.join(_literal(cell.name) for cell in cells)}]"
        return self.wr.Runset(self.entity, self.project, name, filters=filters, **shown)

    def _place(self, x: int, width: int) -> "wr.Layout":
        return self.wr.Layout(x, 0, width, 10)


def _literal(text: str) -> str:
    """In a filter, which wandb-workspaces parses as Python; before that it makes == of every =, also in quotes."""
    return re.sub("[=<>]", lambda sign: f"\\x{ord(sign[0]):02x}", ascii(text))


def _library() -> ModuleType:
    try:
        import wandb_workspaces.reports.v2 as wr
    except ModuleNotFoundError:
        raise InputError("W&B reports need wandb-workspaces: pip install wandb-workspaces") from None
    return wr
