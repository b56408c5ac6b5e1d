"""The exhibits of a report, its figures and tables: one entry for each that a grid file may ask for.

An entry names a function of `lit_resnet/report/` and does not import it, so that reading a grid file costs neither
matplotlib nor numpy. To add a figure or a table, write its function there and its entry here. From the entry the
grid file's `report:` knows its name, the report its files, the page and W&B's report their sections, and the
documentation its line.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

Kind = Literal["plain", "residual"]  # of a net; VGG is neither


@dataclass(frozen=True)
class FigureEntry:
    """A figure that a grid may ask for.

    Args:
        name: What a grid file writes under `report: figures`; also the name of the figure's files.
        title: Heading of its section, on the page and in W&B.
        about: What it shows, in a few words.
        draw: `module:function` in `lit_resnet/report/figures/`. The function takes a tuple of `FinishedCell` and
            returns the matplotlib figure and its caption; with nothing to draw, None and what is missing.
        nets: The kinds of nets whose cells are drawn; None is for all others, of VGG and of other tasks.
        panels: What the report in W&B shows of it: `curves`, the final metrics over the iterations, and `axes`, the
            headline metric over each axis, both drawn by W&B; `images`, the figure of each run, drawn from that run
            alone; None, a line that names the file of the report.
        unasked: Whether a report has it as soon as there is something to draw, also where the grid does not ask for it:
            of what is measured after the training, by a verb of its own.
    """

    name: str
    title: str
    about: str
    draw: str
    nets: tuple[Kind | None, ...] = ("plain", "residual")
    panels: Literal["curves", "axes", "images"] | None = None
    unasked: bool = False


@dataclass(frozen=True)
class TableEntry:
    """A table that a grid may ask for.

    Args:
        name: What a grid file writes under `report: tables`; also the name of the table's files.
        title: Heading of its section in W&B.
        about: What it shows, in a few words.
        make: `module:function` in `lit_resnet/report/tables/`. The function takes `GridRuns` and returns a `Table`.
        ensembles: Whether it is about ensembles, so that the grid must name some.
    """

    name: str
    title: str
    about: str
    make: str
    ensembles: bool = False


FIGURES = {
    entry.name: entry
    for entry in (
        FigureEntry(
            name="fig1",
            title="Plain nets, in the manner of Fig. 1",
            about="training and test error of plain nets over the iterations",
            draw="iterations:fig1",
            nets=("plain",),
            panels="curves",
        ),
        FigureEntry(
            name="fig4",
            title="Plain and residual nets, in the manner of Fig. 4",
            about="training and validation error (centre crop), plain nets beside residual nets, around the plateaus",
            draw="iterations:fig4",
            panels="curves",
        ),
        FigureEntry(
            name="fig6",
            title="Plain and residual nets, in the manner of Fig. 6",
            about="training and test error over the iterations, plain nets beside residual nets",
            draw="iterations:fig6",
            panels="curves",
        ),
        FigureEntry(
            name="fig7",
            title="Layer responses, in the manner of Fig. 7",
            about="standard deviation of each layer's response, in the order of the layers and ranked",
            draw="layers:fig7",
            panels="images",
        ),
        FigureEntry(
            name="gradients",
            title="Signals through the layers, forward and backward (Sec. 4.1)",
            about="variance of each layer's response and norm of its gradient; needs `model.signals_every`",
            draw="layers:gradients",
        ),
        FigureEntry(
            name="gates",
            title="Gates of the shortcuts",
            about="of nets with gates: what part of the signal each shortcut carries, by block and over the iterations",
            draw="gates:shares",
            nets=("residual",),
            panels="images",
        ),
        FigureEntry(
            name="lesions",
            title="Nets without some of their blocks (Veit et al. 2016)",
            about="test error with each block taken out, and with several at random; measured by `lit-resnet lesion`",
            draw="lesions:lesions",
            unasked=True,
        ),
        FigureEntry(
            name="blocks",
            title="Blocks, in the manner of Figs. 2 and 5",
            about="each kind of block in the nets, as the forward pass runs",
            draw="blocks:blocks",
            nets=(*get_args(Kind), None),
            panels="images",
        ),
        FigureEntry(
            name="curves",
            title="Curves of all cells",
            about="errors of each cell over the iterations, of detectors mAP, too; of many cells, the best ones",
            draw="sweep:curves",
            nets=(*get_args(Kind), None),
            panels="curves",
        ),
        FigureEntry(
            name="sweep",
            title="Results over what the grid varies",
            about="final test error, or mAP, over each axis of at least three numbers",
            draw="sweep:over_axes",
            nets=(*get_args(Kind), None),
            panels="axes",
        ),
        FigureEntry(
            name="precision-recall",
            title="Precision over recall",
            about="of detectors: precision over recall of each class; of many classes their mean, and all of each net",
            draw="detection:precision_recall",
            nets=(*get_args(Kind), None),
            panels="images",
        ),
        FigureEntry(
            name="detections",
            title="What the detectors find",
            about="test images with their true boxes, and those that the first run of each net has found",
            draw="detection:detections",
            nets=(*get_args(Kind), None),
            panels="images",
        ),
    )
}

# The figures of a grid whose file names none; those without anything to draw are left out.
DEFAULT = ("curves", "sweep", "gates", "precision-recall", "detections", "blocks")

TABLES = {
    entry.name: entry
    for entry in (
        TableEntry(
            name="table2",
            title="Table 2",
            about="top-1 error of plain nets beside ResNets of 18 and 34 layers, by ten crops",
            make="imagenet:table2",
        ),
        TableEntry(
            name="table3",
            title="Table 3",
            about="top-1 and top-5 error of ImageNet nets, by ten crops",
            make="imagenet:table3",
        ),
        TableEntry(
            name="table4",
            title="Table 4",
            about="top-1 and top-5 error of ImageNet nets, by several scales",
            make="imagenet:table4",
        ),
        TableEntry(
            name="table5",
            title="Table 5",
            about="top-5 error of the ensembles under `report: ensembles`",
            make="imagenet:table5",
            ensembles=True,
        ),
        TableEntry(
            name="table7",
            title="Table 7",
            about="mAP of detectors on PASCAL VOC, and each class's in the CSV; of other data without the paper's",
            make="detection:table7",
        ),
        TableEntry(
            name="table8",
            title="Table 8",
            about="mAP@.5 and mAP@[.5, .95] of detectors on COCO, with box refinement and at many scales as in Table 9",
            make="detection:table8",
        ),
        TableEntry(
            name="identity-table1",
            title="Identity Mappings, Table 1",
            about="median test error with other shortcuts: scaled, gated, 1x1, with dropout",
            make="identity_mappings:table1",
        ),
        TableEntry(
            name="identity-table2",
            title="Identity Mappings, Table 2",
            about="median test error with other orders of convolution, BN and ReLU",
            make="identity_mappings:table2",
        ),
        TableEntry(
            name="identity-table3",
            title="Identity Mappings, Table 3",
            about="median test error of original and of pre-activation units, on CIFAR-10 and CIFAR-100",
            make="identity_mappings:table3",
        ),
        TableEntry(
            name="highway",
            title="Highway nets, in the shape of Table 6",
            about="test error of highway nets beside residual nets, and of the highway nets of Table 6",
            make="highway:highway",
        ),
    )
}

# The table that every report has, last; a grid file does not ask for it.
ALL_NETS = TableEntry(
    name="table",
    title="All nets",
    about="every cell of the grid: errors, the paper's error, what the grid varies, layers, parameters, multiply-adds",
    make="cells:all_nets",
)


def markdown(entries: Iterable[FigureEntry | TableEntry]) -> str:
    """Entries as a table of GitHub's Markdown, a line each: the documentation's list of figures or of tables."""
    lines = [f"| `{entry.name}` | {entry.title} | {entry.about} |" for entry in entries]
    return "\n".join(["| name | title | shows |", "| --- | --- | --- |", *lines]) + "\n"
