"""Tables 7 and 8 in the paper's shape: mean average precision of our detectors, beside the paper's."""

import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lit_resnet import paper
from lit_resnet.evaluation import MULTI_SCALE, REFINED
from lit_resnet.metrics import MAP, MAP50, Metric
from lit_resnet.nested import value_at
from lit_resnet.report.runs import FinishedCell, FinishedRun, GridRuns, Over
from lit_resnet.report.tables.cells import images, seen, spread, spreads, training
from lit_resnet.report.tables.table import NONE, Table

# What the protocols of PASCAL VOC average, in the head of a column.
AVERAGED = {"voc07": "11 points", "voc10": "area"}
VIEWS = {
    REFINED: "box refinement",
    MULTI_SCALE: "multi-scale testing",
}  # the steps of Table 9 that need no training
KNOWN = (*VIEWS, "+".join(VIEWS))  # one of these steps, or both


@dataclass(frozen=True)
class Column:
    """Numbers of all nets that were trained on one data set, by one protocol.

    Args:
        data: The data set's name.
        protocol: How detectors are judged, without a view.
        metric: Which of its numbers it is.
        head: Its head.
        printed: The paper's number of a net as tested in a view; None where it printed none.
        classes: The paper's average precision of each class of a net; empty where it printed none.
        public: Whether the truth of the test images is public.
        beside: Whether the paper's numbers stand beside it.
    """

    data: str
    protocol: str
    metric: Metric
    head: str
    printed: Callable[[dict[str, Any], str], float | None] = lambda net, view: None
    classes: Callable[[dict[str, Any]], dict[str, float]] = lambda net: {}
    public: bool = True
    beside: bool = True

    def named(self, view: str) -> str:
        """Its protocol in a view, as evaluation.json has it."""
        return f"{self.protocol}+{view}" if view else self.protocol


@dataclass(frozen=True)
class Line:
    """A net, tested in one view: a row.

    Args:
        net: Its name.
        beside: The cells that train it, in brackets, where the grid has the net several times on one data set.
        config: Its config, by which the paper's numbers are found; of the first of these cells alone.
        view: How it is tested, beside a single pass at one scale: `refined`; the empty string for that pass.
        cells: By the name of a data set the cell that trains it there.
    """

    net: str
    beside: str
    config: dict[str, Any]
    view: str
    cells: dict[str, FinishedCell]

    @property
    def name(self) -> str:
        """`ResNet-101`, `ResNet-101 + box refinement`, `ResNet-18 (scratch)`."""
        return " + ".join(
            [f"{self.net}{self.beside}", *(VIEWS.get(step, step) for step in self.view.split("+") if step)]
        )

    def ours(self, column: Column) -> Over | None:
        """Our number over the seeds; None where one of them has none."""
        cell = self.cells.get(column.data)
        return cell and cell.judged(column.named(self.view), column.metric)


def table7(runs: GridRuns) -> Table:
    """Table 7: mAP@.5 on PASCAL VOC, a row for each net, two columns for each of the paper's pairs of sets."""
    printed = paper.load()["table7"]
    columns = [
        Column(
            data=column["data"],
            protocol=column["protocol"],
            metric=MAP50,
            head=f"{column['train']} → {column['test']}: mAP % ({AVERAGED[column['protocol']]})",
            printed=lambda net, view, key=key: None if view else _row("table7", net).get(key),
            classes=lambda net, table=column["classes"]: _classes(table, net),
            public=column.get("public", True),
        )
        for key, column in printed["columns"].items()
    ]
    return _table("table7", runs, columns, "PASCAL VOC", tuple(AVERAGED))


def table8(runs: GridRuns) -> Table:
    """Table 8: mAP@.5 and mAP@[.5, .95] on COCO; and the rows of Table 9 that runs were judged for."""
    table = paper.load()["table8"]
    columns = [
        Column(
            data=table["data"],
            protocol=table["protocol"],
            metric=metric,
            head=metric.head,
            printed=lambda net, view, key=metric.name: _row("table9", net, view).get(key),
        )
        for metric in (MAP50, MAP)
    ]
    return _table("table8", runs, columns, "COCO", (table["protocol"],))


def _row(table: str, net: dict[str, Any], view: str = "") -> dict[str, Any]:
    """The row of a net, as tested in a view; empty where the paper has none."""
    rows = (row for row in paper.load()[table]["rows"] if row.get("view", "") == view)
    return next((row for row in rows if paper.is_row(net, table, row)), {})


def _classes(table: str, net: dict[str, Any]) -> dict[str, float]:
    return dict(zip(paper.load()[table]["classes"], _row(table, net).get("ap", ()), strict=False))


def _table(name: str, runs: GridRuns, papers: list[Column], of: str, protocols: Sequence[str]) -> Table:
    on_the_papers = [column for column in papers if column.data in {run.summary.data for run in runs.finished}]
    columns = [*(papers if on_the_papers else ()), *_others(runs, papers, protocols)]
    lines = list(_lines(name, runs, columns, with_papers=bool(on_the_papers)))
    header, rows = ["net"], [[line.name] for line in lines]
    for column in columns:
        header += [column.head, *(["paper"] if column.beside else [])]
        for line, row in zip(lines, rows, strict=True):
            row.append(spread(line.ours(column)))
            if column.beside:
                printed = column.printed(line.config, line.view)
                row.append(NONE if printed is None else f"{printed:.1f}")
    header.append("n")
    for line, row in zip(lines, rows, strict=True):
        counts = [str(len(line.cells[data].runs)) for data in _sets(columns) if data in line.cells]
        row.append(", ".join(counts if len(set(counts)) > 1 else counts[:1]) or NONE)
    number, title = name.removeprefix("table"), paper.load()[name]["title"]
    if not on_the_papers:
        names = ", ".join(
            dict.fromkeys(run.summary.data.partition(":")[2] or run.summary.data for run in runs.finished)
        )
        title = f"In the shape of Table {number}: object detection with Faster R-CNN on {names}, not {of}"
    return Table(
        title=title if not on_the_papers else f"Table {number}: {title}",
        header=tuple(header),
        rows=tuple(map(tuple, rows)),
        text_columns=1,
        note=_note(name, runs, columns, lines, bool(on_the_papers)),
        records=tuple(_records(lines, columns)),
    )


def _others(runs: GridRuns, papers: list[Column], protocols: Sequence[str]) -> Iterator[Column]:
    """Columns of data that the paper has not, by those of the protocols that a run was judged by, or by the first."""
    known = {column.data for column in papers}
    for data in dict.fromkeys(run.summary.data for run in runs.finished if run.summary.data not in known):
        judged = {protocol for run in runs.finished if run.summary.data == data for protocol in run.evaluations}
        for protocol in [one for one in protocols if one in judged] or protocols[:1]:
            for metric in dict.fromkeys(column.metric for column in papers):
                how = f"mAP % ({AVERAGED[protocol]})" if protocol in AVERAGED else metric.head
                yield Column(data, protocol, metric, f"{data}: {how}", beside=False)


def _lines(name: str, runs: GridRuns, columns: list[Column], with_papers: bool) -> Iterator[Line]:
    """The nets of the paper's table, and those that the grid has beside them; each in all views of any run of it."""
    configs: dict[str, dict[str, Any]] = {}
    if with_papers:
        family = paper.load()[name]["family"]
        configs = {row["net"]: {"family": family, **row} for row in paper.load()[name]["rows"]}
    twins: dict[str, list[dict[str, FinishedCell]]] = {net: [{}] for net in configs}
    for cell in runs.cells:
        net, data = cell.summary.net, cell.summary.data
        configs.setdefault(net, cell.summary.net_config)
        found = twins.setdefault(net, [{}])
        if all(data in one for one in found):
            found.append({})
        next(one for one in found if data not in one)[data] = cell
    for net, found in twins.items():
        for i, cells in enumerate(found):
            judged = {protocol for cell in cells.values() for run in cell.runs for protocol in run.evaluations}
            beside = f" ({', '.join(dict.fromkeys(cell.name for cell in cells.values()))})" if len(found) > 1 else ""
            for view in _views(columns, judged):
                yield Line(net, beside, {} if i else configs[net], view, cells)


def _views(columns: list[Column], judged: set[str]) -> list[str]:
    """A single pass, and all else that a net was tested by; what others may have written there is none of it."""
    protocols = {column.protocol for column in columns}
    found = {view for one in judged for protocol, _, view in [one.partition("+")] if protocol in protocols}
    return ["", *sorted((view for view in found if view in KNOWN), key=KNOWN.index)]


def _sets(columns: list[Column]) -> list[str]:
    return list(dict.fromkeys(column.data for column in columns))


def _records(lines: list[Line], columns: list[Column]) -> Iterator[dict[str, Any]]:
    """Raw values: a record for each net and view on each data set, by each protocol, with all classes."""
    found = []
    for line in lines:
        for data, protocol in dict.fromkeys((column.data, column.protocol) for column in columns):
            cell = line.cells.get(data)
            here = [column for column in columns if (column.data, column.protocol) == (data, protocol)]
            record: dict[str, Any] = {"net": line.net, "view": line.view, "cell": cell and cell.name, "data": data}
            record |= {"protocol": protocol, "n": len(cell.runs) if cell else 0}
            for column in here:
                ours, key = line.ours(column), column.metric.name
                record |= {f"{key}_mean": ours and ours.mean, f"{key}_std": ours and ours.std}
                record[f"paper_{key}"] = column.printed(line.config, line.view)
            theirs = {} if line.view else here[0].classes(line.config)
            found.append((record, _ap(cell, here[0].named(line.view)) if cell else {}, theirs))
    printed = dict.fromkeys(name for _, _, theirs in found for name in theirs)
    classes = (*printed, *sorted({name for _, ours, _ in found for name in ours} - printed.keys()))
    for record, ours, theirs in found:
        for name in classes:
            over = ours.get(name)
            record |= {f"ap_{name}_mean": over and over.mean, f"ap_{name}_std": over and over.std}
            if any(theirs for _, _, theirs in found):
                record[f"paper_ap_{name}"] = theirs.get(name)
        yield record


def _ap(cell: FinishedCell, protocol: str) -> dict[str, Over | None]:
    """The average precision of each class over the seeds."""
    runs = [run.evaluations.get(protocol, {}).get("ap", {}) for run in cell.runs]
    return {name: Over.of(MAP50, [ap.get(name) for ap in runs]) for name in dict.fromkeys(n for ap in runs for n in ap)}


def _note(name: str, runs: GridRuns, columns: list[Column], lines: list[Line], on_the_papers: bool) -> str:
    printed = paper.load()[name]
    sentences = [training(runs), runs.progress(), *images(runs), *_judged(columns)]
    if any(line.view for line in lines):
        sentences.append(
            "Box refinement pools again from each regressed box; multi-scale testing has several shorter sides "
            "(Appendix B). The paper's multi-scale testing is of a net with global context, which is not built here"
        )
    sentences.append(
        "Ours are trained jointly, in one go (approximate joint training); the paper's in "
        f"{printed['training']['schedule']}, which alternate between region proposals and detector"
    )
    sentences += [_starts(runs), *_waiting(runs, columns)]
    sentences += spreads(runs)
    if on_the_papers:
        sentences.append(
            "The paper's numbers of VGG-16 are those of Faster R-CNN's own code"
            + ("; of each class they are in Tables 10 and 11, and beside ours in the CSV" if name == "table7" else "")
        )
    else:
        sentences.append(f"The paper has no numbers of {seen(runs, 'data')}")
    return ". ".join(sentences) + "."


def _judged(columns: list[Column]) -> Iterator[str]:
    """How the protocols come to their numbers."""
    found = {column.protocol for column in columns}
    ways = {
        "voc07": "mean of the precision at 11 recalls (PASCAL VOC 2007)",
        "voc10": "area under precision over recall (PASCAL VOC 2010 and later)",
        "coco": "mean of the precision at 101 recalls (COCO)",
    }
    words = "; ".join(way for protocol, way in ways.items() if protocol in found)
    yield f"mAP: mean over the classes of the average precision, at an IoU of 0.5 unless others are named: {words}"


def _starts(runs: GridRuns) -> str:
    """Which weights the nets start from, and what BN has."""
    starts: dict[str, list[str]] = {}
    for run in runs.finished:
        start = run.summary.start
        known = starts.setdefault(run.summary.net, [])
        taken = value_at(run.summary.config, "model.bn") == "taken"
        words = ("/".join(Path(start.path).parts[-2:]) if start else "fresh weights") + (" (BN taken)" if taken else "")
        words = re.sub(r"-seed\d+$", "", words)
        if words not in known:
            known.append(words)
    words = "; ".join(f"{net} from {', '.join(found)}" for net, found in starts.items())
    taken = (
        ". BN taken: its statistics are those of some training images, in the fresh net"
        if "(BN taken)" in words
        else ""
    )
    return f"Start weights: {words}{taken}"


def _waiting(runs: GridRuns, columns: list[Column]) -> Iterator[str]:
    """What to do about numbers that are missing."""
    for column in {(column.data, column.protocol): column for column in columns}.values():
        waiting = [run for run in runs.finished if run.summary.data == column.data and not _has(run, column)]
        folders = shlex.join(str(run.folder.path) for run in waiting)
        if waiting and column.public:
            yield f"Not judged so yet (–): lit-resnet evaluate {folders} --protocol {column.protocol}"
        elif waiting:
            yield (
                f"The truth of the test images of {column.data} is not public (–): lit-resnet evaluate {folders} "
                "--submission DIR writes what its server takes"
            )


def _has(run: FinishedRun, column: Column) -> bool:
    return column.protocol in run.evaluations
