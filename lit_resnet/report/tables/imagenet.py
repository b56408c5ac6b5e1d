"""Tables 2 to 5 in the paper's shape: our errors on ImageNet, or on a folder like it, beside the paper's."""

import shlex
from dataclasses import dataclass
from typing import Any

from lit_resnet import paper
from lit_resnet.evaluation import Testing
from lit_resnet.grid.grid import Ensemble
from lit_resnet.listing import percent
from lit_resnet.report.runs import FinishedCell, GridRuns, Over
from lit_resnet.report.tables.cells import seen, spread, spreads, training
from lit_resnet.report.tables.table import NONE, Table

IMAGENET = "imagenet"  # as summaries name the data set
PROTOCOLS: dict[str, Testing] = {"table2": "ten-crop", "table3": "ten-crop", "table4": "multi-scale"}
AVERAGED: dict[Testing, str] = {
    "center": "the centre crop alone",
    "ten-crop": "ten crops, the corners and the centre and their mirror images",
    "multi-scale": "the positions of the fully-convolutional form, several scales, and mirror images",
}
TEST_SET = "†"  # marks an error of the paper on the test set; its other errors are on the validation images


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

    def ours(self, k: int) -> Over | None:
        """Our top-k error over the seeds; None where one of them has not been judged by the protocol."""
        return self.cell and self.cell.judged(self.protocol, f"top{k}_error")

    def both(self, k: int) -> tuple[str, str]:
        """Our top-k error and the paper's."""
        return spread(self.ours(k)), _printed(self.printed, k)

    def record(self) -> dict[str, Any]:
        """Raw values, under the names of the CSV."""
        record = {"net": self.printed["net"], "cell": self.cell and self.cell.name, "protocol": self.protocol}
        record |= {"data": self.cell and self.cell.net["data"], "n": len(self.cell.runs) if self.cell else 0}
        for k in (1, 5):
            ours = self.ours(k)
            record |= {f"top{k}_error_mean": ours and ours.mean, f"top{k}_error_std": ours and ours.std}
            record[f"paper_top{k}_error"] = self.printed.get(f"top{k}")
        return record


def table2(runs: GridRuns) -> Table:
    """Table 2: top-1 error of plain nets beside that of ResNets with option A, a row for each depth."""
    rows = _rows("table2", runs)
    kinds = {"plain": "none", "ResNet": "A"}
    nets = {(row.printed["depth"], row.printed["shortcut"]): row for row in rows}
    lines = [
        (f"{depth} layers", *(text for shortcut in kinds.values() for text in nets[depth, shortcut].both(1)))
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
    """A row for each net of the paper's table; the nets of other papers have the paper's numbers alone."""
    rows = _rows(name, runs)
    header = ("net", "top-1 error %", _paper("top-1", runs), "top-5 error %", _paper("top-5", runs), "n")
    lines = [
        (row.printed["net"], *row.both(1), *row.both(5), str(len(row.cell.runs)) if row.cell else NONE) for row in rows
    ]
    return _table(name, runs, header, lines, rows)


def table5(runs: GridRuns) -> Table:
    """Table 5: top-5 error of ensembles. The grid's first ensemble stands beside the paper's own, others below it."""
    *others, own = paper.load()["table5"]["rows"]
    first, *more = runs.grid.ensembles
    pairs: list[tuple[dict[str, Any], Ensemble | None]] = [(row, None) for row in others]
    pairs += [(own, first), *(({"net": ensemble.name}, ensemble) for ensemble in more)]
    found = {ensemble: runs.ensemble(ensemble) or {} for ensemble in runs.grid.ensembles}

    lines, records, sentences, missing = [], [], [], []
    for row, ensemble in pairs:
        errors = found.get(ensemble, {})
        models = len(errors["runs"]) if errors else None
        lines.append((row["net"], str(models or NONE), percent(errors.get("top5_error")), _printed(row, 5)))
        records.append(
            {"net": row["net"], "ensemble": ensemble and ensemble.name, "protocol": ensemble and ensemble.protocol}
            | {"models": models, **{key: errors.get(key) for key in ("data", "images", "top1_error", "top5_error")}}
            | {"paper_top5_error": row.get("top5")}
        )
        if errors:
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
        header=("", "models", "top-5 error %", f"{_paper('top-5', runs)}, test set"),
        rows=tuple(lines),
        text_columns=1,
        note=_note("table5", runs, sentences),
        records=tuple(records),
    )


def _rows(name: str, runs: GridRuns) -> list[PrintedNet]:
    table = paper.load()[name]
    found = []
    for printed in table["rows"]:
        cell = next((cell for cell in runs.cells if _is(cell, {**table, **printed})), None)
        found.append(PrintedNet(printed, cell, PROTOCOLS[name]))
    return found


def _is(cell: FinishedCell, printed: dict[str, Any]) -> bool:
    """Whether a cell trains exactly that net of the paper, whose bottlenecks have their stride in the 1x1 layer."""
    net = {"block": "paper", "stride_on": "1x1", **cell.net}
    as_printed = net["block"] == "paper" and (net["depth"] < 50 or net["stride_on"] == "1x1")
    return as_printed and all(net[key] == printed.get(key) for key in ("family", "depth", "shortcut"))


def _table(
    name: str, runs: GridRuns, header: tuple[str, ...], lines: list[tuple[str, ...]], rows: list[PrintedNet]
) -> Table:
    ours = [row for row in rows if row.cell]
    sentences = [f"Scores averaged over {AVERAGED[PROTOCOLS[name]]}"]
    if waiting := [run for row in ours for run in row.cell.runs if PROTOCOLS[name] not in run.evaluations]:
        folders = shlex.join(str(run.folder.path) for run in waiting)
        sentences.append(f"Not judged so yet (–): lit-resnet evaluate {folders} --protocol {PROTOCOLS[name]}")
    taken = {row.cell.name for row in ours}
    twins = [
        cell.name for cell in runs.cells if cell.name not in taken and any(_is(cell, row.cell.net) for row in ours)
    ]
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
    return {run.summary["data"] for run in runs.finished} == {IMAGENET}


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
    return ". ".join([training(runs), runs.progress(), *sentences, *spreads(runs), compared]) + "."


def _printed(row: dict[str, Any], k: int) -> str:
    """The paper's top-k error with the digits that it gives; a dash where it gives none."""
    if f"top{k}" not in row:
        return NONE
    return f"{row[f'top{k}']:.{row.get('digits', 2)}f}" + (TEST_SET if "data" in row else "")
