"""Error over iterations: the metrics of a cell's seeds become one line with a band."""

import csv
import gzip
import io
from dataclasses import dataclass

from lit_resnet.grid.axes import columns
from lit_resnet.metrics import TEST_ERROR, TRAIN_ERROR, Metric
from lit_resnet.report.runs import FinishedCell, GridRuns
from lit_resnet.runfolder import records


@dataclass(frozen=True)
class Curve:
    """A metric at each step: mean over the seeds, and the lowest and highest of them."""

    steps: list[int]
    mean: list[float]
    low: list[float]
    high: list[float]


@dataclass(frozen=True)
class Curves:
    """Training and test error of a cell's runs; None where it was not measured."""

    cell: FinishedCell
    train: Curve | None
    test: Curve | None


def curves_of(cell: FinishedCell) -> Curves:
    """The curves of a cell's finished runs.

    Raises:
        InputError: A metrics.csv is damaged.
    """
    return Curves(cell, curve(cell, TRAIN_ERROR), curve(cell, TEST_ERROR))


def archive(runs: GridRuns) -> bytes:
    """All rows of the metrics.csv of all finished runs as one compressed CSV file, with cell, seed and axes.

    An axis whose short name a metric has, such as `lr`, has its whole key there. The same runs give the same bytes.

    Raises:
        InputError: A metrics.csv is damaged.
    """
    record = records.metrics(runs.grid.task)
    axes = columns(runs.axes, ("cell", "seed", *record.columns))
    packed = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=packed, mtime=0) as file:
        file.write(f"{_line('cell', 'seed', *axes, *record.columns)}\n".encode())
        for run in runs.finished:
            if run.metrics:  # then each line of the file is a row, and is taken as it is
                said = _line(run.cell, run.seed, *(axis.plain[run.cell] for axis in axes.values()))
                rows = [f"{said},{line}\n" for line in record.lines(run.folder.path)[1:] if line]
                file.write("".join(rows).encode())
    return packed.getvalue()


def _line(*fields: object) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(fields)
    return text.getvalue()


def curve(cell: FinishedCell, metric: Metric) -> Curve | None:
    """The curve of a metric over the iterations that all finished seeds logged; None where there are none.

    Raises:
        InputError: A metrics.csv is damaged.
    """
    seeds = [dict(run.logged(metric)) for run in cell.runs]
    steps = sorted(set.intersection(*map(set, seeds)))  # a mean over other seeds at each step would jump
    if not steps:
        return None
    values = [[seed[step] for seed in seeds] for step in steps]
    return Curve(steps, [sum(v) / len(v) for v in values], [min(v) for v in values], [max(v) for v in values])
