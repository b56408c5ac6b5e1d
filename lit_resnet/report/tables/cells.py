"""The table of a grid, a row for each cell that has finished runs; and text that other tables share with it."""

from collections.abc import Iterator
from typing import Any

from lit_resnet import paper
from lit_resnet.grid.axes import Axis, columns
from lit_resnet.listing import numbered
from lit_resnet.metrics import TEST_ERROR
from lit_resnet.report.runs import FinishedCell, GridRuns, Over
from lit_resnet.report.tables.table import NONE, Table
from lit_resnet.sameness import KIND
from lit_resnet.task import Task

# From so many seeds on, the table has `best (mean±std)`, as Table 6 has for ResNet-110.
SEEDS_FOR_BEST = 5


def all_nets(runs: GridRuns) -> Table:
    """Every cell that has finished runs: its metrics over the seeds, the paper's error, its axes and its net."""
    cells = runs.cells
    summaries = [cell.summary for cell in cells]
    scale, unit = (1e9, "GFLOPs") if min(summary.macs for summary in summaries) >= 1e9 else (1e6, "MFLOPs")

    table = _names(cells)
    text_columns = len(table)
    others = [metric for metric in runs.final if metric != runs.headline]
    table[runs.headline.head] = [spread(cell.over_seeds(runs.headline)) for cell in cells]
    if TEST_ERROR in runs.final and any(map(printed_error, cells)):  # of photographs it has others, by other crops
        table["paper %"] = [str(printed_error(cell) or NONE) for cell in cells]
    for metric in others:
        table[metric.head] = [spread(cell.over_seeds(metric)) for cell in cells]
    table["n"] = [str(len(cell.runs)) for cell in cells]
    for axis in shown(runs):
        table[axis.key if axis.name in table else axis.name] = [axis.text(cell.name) for cell in cells]
    net = {
        "layers": [str(cell.depth or NONE) for cell in cells],
        "params": [millions(summary.params) for summary in summaries],
        unit: [f"{summary.macs / scale:.1f}" for summary in summaries],
    }
    shared = {head: texts[0] for head, texts in net.items() if len(set(texts)) == 1 < len(cells)}
    alone = len({summary.net for summary in summaries}) == 1
    table |= {head: texts for head, texts in net.items() if not (alone and head in shared) and set(texts) != {NONE}}

    return Table(
        title=runs.grid.title,
        header=tuple(table),
        rows=tuple(zip(*table.values(), strict=True)),
        text_columns=text_columns,
        note=_note(runs, unit, [f"Every net is a {summaries[0].net}: {_told(shared)}"] if alone and shared else []),
        records=tuple(_records(runs)),
    )


def shown(runs: GridRuns) -> list[Axis]:
    """The axes that a table for people has as columns: those in which its cells differ, and that no net's name tells.

    An axis of the net, or one that changes no result, is told where nets of one name never differ in it.
    """
    nets = [(cell.name, cell.summary.net) for cell in runs.cells]
    found = []
    for axis in runs.axes:
        told = len({(net, axis.text(cell)) for cell, net in nets}) == len({net for _, net in nets})
        varies = len({axis.text(cell) for cell, _ in nets}) > 1
        if varies and not (told and (axis.of_the_net or axis.free)):
            found.append(axis)
    return found


def _names(cells: tuple[FinishedCell, ...]) -> dict[str, list[str]]:
    """What the rows are called: by their nets, or by their cells where nets repeat; then with nets, if they differ."""
    nets, names = [cell.summary.net for cell in cells], [cell.name for cell in cells]
    different = len(set(nets))
    if different == len(nets):
        return {"net": nets}
    return {"cell": names} if different == 1 else {"cell": names, "net": nets}


def spread(over: Over | None) -> str:
    """A metric over seeds: `8.75`, `8.75±0.21`, or `6.43 (6.61±0.16)`; a dash where there is none."""
    if over is None:
        return NONE
    text = over.metric.text
    if over.std is None:
        return text(over.mean)
    mean = f"{text(over.mean)}±{text(over.std)}"
    return f"{text(over.best)} ({mean})" if over.n >= SEEDS_FOR_BEST else mean


def printed_error(cell: FinishedCell) -> paper.PrintedError | None:
    """The paper's test error of the cell's net on the cell's data set."""
    return paper.of(cell.summary.net_config, cell.summary.data).error


def seen(runs: GridRuns, field: str) -> str:
    """The values of a summary's field over all finished runs, in words: `600`, `32,000 and 64,000`."""
    found = (getattr(run.summary, field) for run in runs.finished)
    values = dict.fromkeys(value for value in found if value is not None)
    words = [f"{value:,}" if isinstance(value, int) else str(value) for value in values]
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def dates(runs: GridRuns) -> str:
    """The days on which the runs finished: `2026-11-03`, `2026-11-03 to 2026-11-05`; empty where none says."""
    days = sorted(run.summary.finished[:10] for run in runs.finished if run.summary.finished)
    return " to ".join(dict.fromkeys([days[0], days[-1]])) if days else ""


def _records(runs: GridRuns) -> Iterator[dict[str, Any]]:
    """Raw values, with every axis of the grid; one that the summary has by its name is not repeated."""
    records = [_record(cell, runs.grid.task) for cell in runs.cells]
    axes = [
        axis
        for axis in runs.axes
        if any(r.get(axis.name, NONE) != axis.plain[cell.name] for r, cell in zip(records, runs.cells, strict=True))
    ]
    for record, cell in zip(records, runs.cells, strict=True):
        values = {name: axis.plain[cell.name] for name, axis in columns(axes, record).items()}
        yield {"cell": record.pop("cell"), "net": record.pop("net"), **values, **record}


def _record(cell: FinishedCell, task: Task) -> dict[str, Any]:
    summary = cell.summary
    record: dict[str, Any] = {"cell": cell.name, "net": summary.net}
    record |= {key: summary.net_config.get(key) for key in ("family", *KIND, "stride_on")}
    record |= {key: getattr(summary, key) for key in ("data", "params", "macs", "steps", "batch_size")}
    record["n"] = len(cell.runs)
    for metric in task.final:
        over = cell.over_seeds(metric)
        record |= {f"{metric.name}_mean": over and over.mean, f"{metric.name}_std": over and over.std}
    headline = cell.over_seeds(task.headline)
    record[f"{task.headline.name}_best"] = headline and headline.best
    if TEST_ERROR in task.final:
        printed = printed_error(cell)
        record["paper_test_error"] = printed and printed.best
        record |= {"paper_test_error_mean": printed and printed.mean, "paper_test_error_std": printed and printed.std}
    return record


def training(runs: GridRuns) -> str:
    """On what, for how long, how often, where and when the finished runs were trained."""
    counts = sorted({len(cell.runs) for cell in runs.cells})
    seeds = " to ".join(str(n) for n in dict.fromkeys([counts[0], counts[-1]]))
    how = [
        f"{seen(runs, 'data')}, {numbered(seen(runs, 'steps'), 'iteration')} of "
        f"{numbered(seen(runs, 'batch_size'), 'image')}",
        f"n = {numbered(seeds, 'seed')} a net",
        *filter(None, (seen(runs, "device"), seen(runs, "precision"), dates(runs))),
    ]
    return "; ".join(how)


def images(runs: GridRuns) -> list[str]:
    """A sentence about runs that were tested on other images than most; none where there are no such runs."""
    names = ", ".join(f"{run.cell} (seed {run.seed})" for run in runs.on_other_images)
    return [f"Tested on other images than the rest, so that errors cannot be compared: {names}"] if names else []


def spreads(runs: GridRuns) -> list[str]:
    """Sentences about how errors over seeds are written."""
    most = max(len(cell.runs) for cell in runs.cells)
    sentences = {
        2: "±: sample standard deviation over seeds",
        SEEDS_FOR_BEST: f"From {SEEDS_FOR_BEST} seeds on: best (mean±std), as Table 6 of the paper has it",
    }
    return [sentence for seeds, sentence in sentences.items() if most >= seeds]


def origins(runs: GridRuns) -> list[str]:
    """Sentences about the code that the runs were made with; one names the cells whose runs differ in it."""
    known = list(dict.fromkeys(run.summary.origin for run in runs.finished if run.summary.origin))
    sentences = [f"Made with lit_resnet, {', '.join(known)}"] if known else []
    for cell in runs.cells:
        code = {run.seed: run.summary.code or run.summary.git_commit for run in cell.runs}
        if len(set(code.values())) > 1:
            words = [
                f"seed {run.seed}: {run.summary.origin} ({(code[run.seed] or 'unknown')[:7]})" for run in cell.runs
            ]
            sentences.append(f"The seeds of {cell.name} are made with different code, {', '.join(words)}")
    return sentences


def _told(shared: dict[str, str]) -> str:
    """What all nets share: `8 layers, 0.08M params, 12.8 MFLOPs`."""
    return ", ".join(f"{value} {head}" for head, value in shared.items())


def _note(runs: GridRuns, unit: str, more: list[str]) -> str:
    sentences = [
        training(runs),
        runs.progress(),
        *more,
        *images(runs),
        *(f"{metric.first}: {metric.about}" for metric in runs.final if metric.about),
        f"{unit}: multiply-adds of the convolutions and the fully-connected layer for one image",
    ]
    sentences += origins(runs)
    if diverged := [f"{run.cell} (seed {run.seed})" for run in runs.finished if run.summary.diverged]:
        sentences.append(f"Diverged, its loss is no number: {', '.join(diverged)}")
    cold = [run for run in runs.finished if run.summary.warmup_lr and not run.summary.warmup_steps]
    if cold:
        names = ", ".join(f"{run.cell} (seed {run.seed})" for run in cold)
        sentences.append(f"Warm-up never ended, the learning rate stayed at its own: {names}")
    sentences += spreads(runs)
    if any(map(printed_error, runs.cells)):
        theirs = paper.load()["table6"]["training"]
        batch = f"{theirs['batch_size']} images, BN over {theirs['batch_size'] // 2} on each of two GPUs"
        sentences.append(f"Paper: Table 6, after {theirs['steps']:,} iterations of {batch}")
    return ". ".join(sentences) + "."


def millions(params: int) -> str:
    """As Table 6 writes it: 0.27M, 1.7M, 19.4M."""
    return f"{params / 1e6:.{1 if params >= 1e6 else 2}f}M"
