"""Tables 1 to 3 of *Identity Mappings in Deep Residual Networks* in that paper's shape: our medians beside its own."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from lit_resnet import paper
from lit_resnet.grid.axes import Axis
from lit_resnet.metrics import TEST_ERROR
from lit_resnet.report.runs import FinishedCell, GridRuns
from lit_resnet.report.tables.cells import images, seen, shown, training
from lit_resnet.report.tables.table import NONE, Table
from lit_resnet.sameness import KIND

DATA = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100"}
UNITS = {"single": ", one layer a unit", "bottleneck": " bottleneck"}  # by their blocks, after the name of a net
ORDERS = {"paper": "original", "full": "pre-activation"}

Words = tuple[str, ...]


@dataclass(frozen=True)
class Shape:
    """How a table is laid out.

    Args:
        heads: The heads of its first columns, which say what a line is about.
        line: These words, from a row of printed.yaml and from the net on that line, which may have another depth.
        column: Under which head a net's error stands.
        by_data: Whether nets on two data sets stand on two lines.
    """

    heads: Words
    line: Callable[[Mapping[str, Any], Mapping[str, Any]], Words]
    column: Callable[[Mapping[str, Any]], str]
    by_data: bool = False


@dataclass
class Place:
    """What is known of a net in one column of a line: the printed row, and our cells by what they differ in."""

    row: dict[str, Any] | None = None
    cells: dict[Words, FinishedCell] = field(default_factory=dict)


def table1(runs: GridRuns) -> Table:
    """Table 1: a line for each kind of shortcut, with the factors of shortcut and residual function."""
    heads = ("case", "on shortcut", "on F", "initial bias")
    return _table("identity-table1", runs, Shape(heads, _factors, _name))


def table2(runs: GridRuns) -> Table:
    """Table 2: a line for each order of convolution, BN and ReLU, a column for each depth."""
    return _table("identity-table2", runs, Shape(("order",), lambda row, net: (row["net"],), _name))


def table3(runs: GridRuns) -> Table:
    """Table 3: a line for each net on each data set, columns for original and for pre-activation units."""
    shape = Shape(
        heads=("data", "net"),
        line=lambda row, net: (DATA.get(net["data"]) or str(net["data"]), _name(net)),
        column=lambda net: ORDERS[net["order"]],
        by_data=True,
    )
    return _table("identity-table3", runs, shape)


def _name(net: Mapping[str, Any]) -> str:
    return f"ResNet-{net['depth']}" + UNITS.get(net["block"], "")


def _factors(row: Mapping[str, Any], net: Mapping[str, Any]) -> Words:
    """Words such as `exclusive gating`, `1 - g`, `g` and `0 to -5`."""
    bias = row.get("gate_value") if "g" in " ".join(map(str, row["factors"])).split() else None
    ends = " to ".join(map(str, reversed(bias))) if isinstance(bias, list) else NONE if bias is None else str(bias)
    return row["net"], *map(str, row["factors"]), ends


def _table(name: str, runs: GridRuns, shape: Shape) -> Table:
    printed = paper.load()[name]
    axes = [axis for axis in shown(runs) if not (axis.of_the_net or (shape.by_data and axis.key == "data.source"))]
    lines: dict[Words, dict[str, Place]] = {}
    columns: dict[str, int] = {}  # with depths, to sort by

    def place(row: dict[str, Any], net: Mapping[str, Any]) -> Place:
        column = shape.column(net)
        columns.setdefault(column, 0 if shape.by_data else net["depth"])
        return lines.setdefault(shape.line(row, net), {}).setdefault(column, Place())

    for row in printed["rows"]:
        place(row, {**paper.USUAL, "data": printed["data"], **row}).row = row
    placed = set()
    for cell in runs.cells:
        net = {**paper.USUAL, **cell.summary.net_config, "data": cell.summary.data}
        row = next((row for row in printed["rows"] if paper.is_kind(net, row)), None)
        if row and net.get("family") == printed["family"] and net.get("depth"):
            ours = place(row, net).cells
            ours[_beside(axes, cell, row, ours)] = cell
            placed.add(cell.name)
    return _written(name, runs, shape, lines, sorted(columns, key=columns.__getitem__), placed)


def _beside(
    axes: Sequence[Axis], cell: FinishedCell, row: Mapping[str, Any], taken: Mapping[Words, FinishedCell]
) -> Words:
    """What a cell differs in from others in its place: values of axes, or its name where they are the same."""
    words = tuple(f"{axis.name} {axis.text(cell.name)}" for axis in axes)
    if isinstance(row.get("gate_value"), list):  # a row of several initial biases
        words = (f"b = {paper.gate_value(cell.summary.net_config)}", *words)
    return words if words not in taken else (*words, cell.name)


def _written(
    name: str, runs: GridRuns, shape: Shape, lines: dict[Words, dict[str, Place]], columns: list[str], placed: set[str]
) -> Table:
    printed = paper.load()[name]
    ours = [column for column in columns if any(line.get(column, Place()).cells for line in lines.values())]
    theirs = [column for column in columns if any(line.get(column, Place()).row for line in lines.values())]
    header, rows, records = [*shape.heads], [], []
    for column in columns:
        header += [f"{column} %"] if column in ours else []
        header += [("paper" if column in ours else f"{column}, paper")] if column in theirs else []
    for words, line in lines.items():
        besides = list(dict.fromkeys(beside for column in columns for beside in line.get(column, Place()).cells))
        for beside in besides or [()]:
            said = f" ({', '.join(beside)})" if len(besides) > 1 and beside else ""
            row, counts = [*words[:-1], words[-1] + said] if len(words) == 1 else [words[0] + said, *words[1:]], []
            for column in columns:
                found = line.get(column, Place())
                cell = found.cells.get(beside)
                counts += [len(cell.runs)] if cell else []
                row += [_median(cell, name)] if column in ours else []
                row += [_printed(found.row)] if column in theirs else []
                if cell or (found.row and beside == (besides or [()])[0]):
                    records.append(_record(words, column, found.row, cell))
            row.append(", ".join(map(str, dict.fromkeys(counts))) or NONE)
            rows.append(tuple(row))
    as_printed = bool(placed) and all(_as_printed(cell, name) for cell in runs.cells if cell.name in placed)
    number = f"Table {printed['number']} of {printed['paper']}"
    on = "" if as_printed else f", on {seen(runs, 'data')}"
    return Table(
        title=f"{'' if as_printed else 'In the shape of '}{number}: {printed['title']} (%){on}",
        header=(*header, "n"),
        rows=tuple(rows),
        text_columns=len(shape.heads),
        note=". ".join(_sentences(printed, runs, placed, as_printed)) + ".",
        records=tuple(records),
    )


def _values(cell: FinishedCell) -> list[float]:
    """The test errors of its runs from the least on; infinite where a run has none, as its loss was no number."""
    values = (run.value(TEST_ERROR) for run in cell.runs)
    return sorted(math.inf if value is None or not math.isfinite(value) else value for value in values)


def _median(cell: FinishedCell | None, table: str) -> str:
    """`6.61 (6.43–6.92)`; with `fail: ` before it as the paper has it, where it was trained as there."""
    if cell is None:
        return NONE
    values = _values(cell)
    texts = [TEST_ERROR.text(value) if math.isfinite(value) else "diverged" for value in values]
    middle = median(values)
    text = TEST_ERROR.text(middle) if math.isfinite(middle) else "diverged"
    text += f" ({texts[0]}–{texts[-1]})" if len(values) > 1 else ""
    fails = middle > paper.load()[table].get("fails_above", math.inf) and _as_printed(cell, table)
    return f"{paper.FAIL}: {text}" if fails else text


def _as_printed(cell: FinishedCell, table: str) -> bool:
    """Whether a cell was trained on the data and for as long as a net of the table that it is."""
    printed, summary = paper.load()[table], cell.summary
    rows = [row for row in printed["rows"] if paper.is_row(summary.net_config, table, row)]
    trained = {key: getattr(summary, key) for key in printed["training"]} == printed["training"]
    return trained and not summary.start and summary.data in [row.get("data", printed["data"]) for row in rows]


def _printed(row: dict[str, Any] | None) -> str:
    """`6.61`, `fail`, or `4.92 (4.89±0.14)`."""
    if row is None:
        return NONE
    if row["error"] == paper.FAIL:
        return paper.FAIL
    return str(paper.PrintedError(row["error"], row.get("mean"), row.get("std")))


def _record(words: Words, column: str, row: dict[str, Any] | None, cell: FinishedCell | None) -> dict[str, Any]:
    """Raw values, under the names of the CSV."""
    net = {**paper.USUAL, **(cell.summary.net_config if cell else row or {})}
    bias = paper.gate_value(net) if cell else net.get("gate_value")
    record: dict[str, Any] = {"line": ", ".join(words), "column": column, "cell": cell and cell.name}
    record |= {key: net.get(key) for key in KIND}
    record |= {"gate_value": " to ".join(map(str, reversed(bias))) if isinstance(bias, list) else bias}
    record |= {"data": cell and cell.summary.data, "steps": cell and cell.summary.steps}
    values = _values(cell) if cell else []
    record |= {"n": len(values), f"{TEST_ERROR.name}_median": median(values) if values else None}
    record |= {f"{TEST_ERROR.name}_least": min(values, default=None)}
    record |= {f"{TEST_ERROR.name}_greatest": max(values, default=None)}
    return record | {f"paper_{TEST_ERROR.name}": row and row["error"]}


def _sentences(printed: dict[str, Any], runs: GridRuns, placed: set[str], as_printed: bool) -> Iterator[str]:
    yield training(runs)
    yield runs.progress()
    yield from images(runs)
    yield "Ours: the median over seeds (least–greatest), of the last model"
    steps, batch = (printed["training"][key] for key in ("steps", "batch_size"))
    fails = f"; fail: above {printed['fails_above']} %" if "fails_above" in printed else ""
    yield f"Paper: {printed['statistic']}, after {steps:,} iterations of {batch} images{fails}"
    if not as_printed:
        yield "Ours are trained otherwise: set the order of the nets beside that of the paper, not the errors"
    if others := [cell.name for cell in runs.cells if cell.name not in placed]:
        yield f"Not in that table: {', '.join(others)}"
