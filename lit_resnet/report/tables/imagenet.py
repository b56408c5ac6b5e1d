"""Tables 2 to 5 in the paper's shape: our errors on ImageNet, or on a folder like it, beside the paper's."""

import shlex
from dataclasses import dataclass
from typing import Any

from lit_resnet import paper
from lit_resnet.evaluation import Testing
from lit_resnet.grid.grid import Ensemble
from lit_resnet.metrics import TOP1_ERROR, TOP5_ERROR, Metric
from lit_resnet.report.runs import FinishedCell, GridRuns, Over
from lit_resnet.report.tables.cells import images, seen, spread, spreads, training
from lit_resnet.report.tables.table import NONE, Table

IMAGENET = "imagenet"  # as summaries name the data set
PROTOCOLS: dict[str, Testing] = {"table2": "ten-crop", "table3": "ten-crop", "table4": "multi-scale"}
AVERAGED: dict[Testing, str] = {
    "center": "the centre crop alone",
    "ten-crop": "ten crops, the corners and the centre and their mirror images",
    "multi-scale": "the positions of the fully-convolutional form, several scales, and mirror images",
}
PRINTED = {TOP1_ERROR: "top1", TOP5_ERROR: "top5"}  # keys of printed.yaml
TEST_SET = "†"  # the paper's sign for an error on the test set among those of the validation images


@dataclass(frozen=True)
class PrintedNet:
    """A net in a table of the paper, and the cell that trains it here.

    Args:
        printed: The row of printed.yaml.
        cell: The first cell of the grid with a finished run of this net; None where there is none.
        protocol: How the nets of the table are judged.
    """

    printed: dict[str, Any]
    cell: FinishedCell | None
    protocol: Testing

    def ours(self, error: Metric) -> Over | None:
        """Our top-1 or top-5 error over the seeds; None where one of them has not been judged by the protocol."""
        return self.cell and self.cell.judged(self.protocol, error)

    def both(self, error: Metric) -> tuple[str, str]:
        """Our top-1 or top-5 error and the paper's."""
        return spread(self.ours(error)), _printed(self.printed, error)

    def record(self) -> dict[str, Any]:
        """Raw values, under the names of the CSV."""
        record = {"net": self.printed["net"], "cell": self.cell and self.cell.name, "protocol": self.protocol}
        record |= {"data": self.cell and self.cell.summary.data, "n": len(self.cell.runs) if self.cell else 0}
        for error in PRINTED:
            ours = self.ours(error)
            record |= {f"{error.name}_mean": ours and ours.mean, f"{error.name}_std": ours and ours.std}
            record[f"paper_{error.name}"] = self.printed.get(PRINTED[error])
        return record


def table2(runs: GridRuns) -> Table:
    """Table 2: top-1 error of plain nets beside that of ResNets with option A, a row for each depth."""
    rows = _rows("table2", runs)
    kinds = {"plain": "none", "ResNet": "A"}
    nets = {(row.printed["depth"], row.printed["shortcut"]): row for row in rows}
    lines = [
        (f"{depth} layers", *(text for shortcut in kinds.values() for text in nets[depth, shortcut].both(TOP1_ERROR)))
        for depth in dict.fromkeys(depth for depth, _ in nets)
    ]
    header = ("", *(text for kind in kinds for text in (kind, _paper(kind, runs))))
    return _table("table2", runs, header, lines, rows)


def table3(runs: GridRuns) -> Table:
    """Table 3: top-1 and top-5 error by ten crops, a row for each net."""
    return _by_net("table3", runs)


def table4(runs: GridRuns) -> Table:
    """Table 4: top-1 and top-5 error by several scales, a row for each net."""
    return _by_net("table4", runs)


def _by_net(name: str, runs: GridRuns) -> Table:
    """A row for each net of the paper's table; those of other papers have no number of ours."""
    rows = _rows(name, runs)
    header = ("net", TOP1_ERROR.head, _paper("top-1", runs), TOP5_ERROR.head, _paper("top-5", runs), "n")
    counts = [str(len(row.cell.runs)) if row.cell else NONE for row in rows]
    lines = [
        (row.printed["net"], *row.both(TOP1_ERROR), *row.both(TOP5_ERROR), n)
        for row, n in zip(rows, counts, strict=True)
    ]
    return _table(name, runs, header, lines, rows)


def table5(runs: GridRuns) -> Table:
    """Table 5: top-5 error of ensembles. The grid's first ensemble is beside the paper's own, others are below."""
    *others, own = paper.load()["table5"]["rows"]
    first, *more = runs.grid.ensembles
    pairs: list[tuple[dict[str, Any], Ensemble | None]] = [(row, None) for row in others]
    pairs += [(own, first), *(({"net": ensemble.name}, ensemble) for ensemble in more)]
    found = {ensemble: runs.ensemble(ensemble) or {} for ensemble in runs.grid.ensembles}

    lines, records, sentences, missing = [], [], [], []
    for row, ensemble in pairs:
        errors = found[ensemble] if ensemble else {}
        models = len(errors["runs"]) if errors else None
        ours = TOP5_ERROR.text(errors.get(TOP5_ERROR.name))
        lines.append((row["net"], str(models or NONE), ours, _printed(row, TOP5_ERROR)))
        records.append(
            {"net": row["net"], "ensemble": ensemble and ensemble.name, "protocol": ensemble and ensemble.protocol}
            | {
                "models": models,
                **{key: errors.get(key) for key in ("data", "images", *(error.name for error in PRINTED))},
            }
            | {f"paper_{TOP5_ERROR.name}": row.get(PRINTED[TOP5_ERROR])}
        )
        if ensemble and errors:
            how = f"scores averaged over {AVERAGED[ensemble.protocol]}, and over {', '.join(errors['runs'])}"
            sentences.append(f"{ensemble.name}: {how}")
        elif ensemble:
            missing.append(ensemble.name)
    if missing:
        names = ", ".join(missing)
        sentences.append(f"Not judged yet (–): {names}; lit-resnet launch does so when all the runs are finished")
    sentences.append(
        "Ours are errors on validation images, the paper's on ImageNet's test images, whose labels are not public; its "
        f"own ensemble is of {own['models']} models of different depth, two of them of 152 layers"
    )
    return Table(
        title=_title("table5", runs),
        header=("", "models", TOP5_ERROR.head, f"{_paper('top-5', runs)}, test set"),
        rows=tuple(lines),
        text_columns=1,
        note=_note("table5", runs, sentences),
        records=tuple(records),
    )


def _rows(name: str, runs: GridRuns) -> list[PrintedNet]:
    return [
        PrintedNet(printed, next((cell for cell in runs.cells if _is(cell, name, printed)), None), PROTOCOLS[name])
        for printed in paper.load()[name]["rows"]
    ]


def _is(cell: FinishedCell, table: str, printed: dict[str, Any]) -> bool:
    """Whether a cell trains just the net of this row."""
    return paper.is_row(cell.summary.net_config, table, printed)


def _table(
    name: str, runs: GridRuns, header: tuple[str, ...], lines: list[tuple[str, ...]], rows: list[PrintedNet]
) -> Table:
    ours = [(row.cell, row.printed) for row in rows if row.cell]
    sentences = [f"Scores averaged over {AVERAGED[PROTOCOLS[name]]}"]
    if waiting := [run for cell, _ in ours for run in cell.runs if PROTOCOLS[name] not in run.evaluations]:
        folders = shlex.join(str(run.folder.path) for run in waiting)
        sentences.append(f"Not judged so yet (–): lit-resnet evaluate {folders} --protocol {PROTOCOLS[name]}")
    taken = {cell.name for cell, _ in ours}
    others = [cell for cell in runs.cells if cell.name not in taken]
    twins = [cell.name for cell in others if any(_is(cell, name, printed) for _, printed in ours)]
    if twins:
        sentences.append(f"Not shown, as the grid has these nets twice: {', '.join(twins)}")
    if any("data" in row.printed for row in rows):
        sentences.append(f"{TEST_SET}: on the test set")
    return Table(
        title=_title(name, runs),
        header=header,
        rows=tuple(lines),
        text_columns=1,
        note=_note(name, runs, sentences),
        records=tuple(map(PrintedNet.record, rows)),
    )


def _on_imagenet(runs: GridRuns) -> bool:
    return {run.summary.data for run in runs.finished} == {IMAGENET}


def _title(name: str, runs: GridRuns) -> str:
    table, number = paper.load()[name], name.removeprefix("table")
    if _on_imagenet(runs):
        return f"Table {number}: {table['title']} (%), {table['testing']}, on ImageNet"
    return f"In the shape of Table {number}: {table['title']} (%), {table['testing']}, on {seen(runs, 'data')}"


def _paper(what: str, runs: GridRuns) -> str:
    """The head of a column with the paper's numbers."""
    return f"{what}, paper" if _on_imagenet(runs) else f"{what}, paper (ImageNet)"


def _note(name: str, runs: GridRuns, sentences: list[str]) -> str:
    theirs = paper.load()[name]["training"]
    if _on_imagenet(runs):
        compared = f"Paper: up to {theirs['steps']:,} iterations of {theirs['batch_size']} images"
    else:
        compared = "The paper's numbers are of ImageNet: set the order of the nets beside theirs, not the errors"
    return ". ".join([training(runs), runs.progress(), *images(runs), *sentences, *spreads(runs), compared]) + "."


def _printed(row: dict[str, Any], error: Metric) -> str:
    """The paper's error with the digits that it gives; a dash where it gives none."""
    if (printed := row.get(PRINTED[error])) is None:
        return NONE
    return f"{printed:.{row.get('digits', error.digits)}f}" + (TEST_SET if "data" in row else "")
