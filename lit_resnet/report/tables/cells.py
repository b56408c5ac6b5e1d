"""The table of a grid: a row for each cell that has finished runs; and the words that other tables share with it."""

from typing import Any

from lit_resnet import paper
from lit_resnet.report.runs import FinishedCell, GridRuns, Over
from lit_resnet.report.tables.table import NONE, Table

# From so many seeds on, the table says `best (mean±std)`, as Table 6 does for ResNet-110.
SEEDS_FOR_BEST = 5


def all_nets(runs: GridRuns) -> Table:
    """Every cell that has finished runs: its net, its errors over the seeds, and the paper's error."""
    cells = runs.cells
    nets = [cell.net["net"] for cell in cells]
    scale, unit = (1e9, "GFLOPs") if min(cell.net["macs"] for cell in cells) >= 1e9 else (1e6, "MFLOPs")

    columns = {"net": [str(net) for net in nets]}
    if len(set(nets)) < len(nets):
        columns["cell"] = [cell.name for cell in cells]
    text_columns = len(columns)
    columns["layers"] = [str(cell.net["depth"]) for cell in cells]
    columns["params"] = [_millions(cell.net["params"]) for cell in cells]
    columns[unit] = [f"{cell.net['macs'] / scale:.1f}" for cell in cells]
    for key, name in error_names(runs).items():
        columns[f"{name} %"] = [spread(cell.over_seeds(key)) for cell in cells]
    columns["n"] = [str(len(cell.runs)) for cell in cells]
    if not runs.photographs:
        columns["paper %"] = [str(printed_error(cell) or NONE) for cell in cells]

    return Table(
        title=runs.grid.title,
        header=tuple(columns),
        rows=tuple(zip(*columns.values(), strict=True)),
        text_columns=text_columns,
        note=_note(runs, unit),
        records=tuple(_record(cell) for cell in cells),
    )


def error_names(runs: GridRuns) -> dict[str, str]:
    """The errors in the summaries of these runs, and what they are called.

    The test labels of ImageNet are not public: its errors are on the validation images.
    """
    names = {"train_error": "train error", "test_error": "validation error" if runs.photographs else "test error"}
    if any(cell.over_seeds("val_error") for cell in runs.cells):
        names["val_error"] = "held-out error" if runs.photographs else "val error"
    return names


def spread(over: Over | None) -> str:
    """An error over seeds: `8.75`, `8.75±0.21`, or `6.43 (6.61±0.16)`; a dash where there is none."""
    if over is None:
        return NONE
    if over.std is None:
        return f"{over.mean:.2f}"
    mean = f"{over.mean:.2f}±{over.std:.2f}"
    return f"{over.best:.2f} ({mean})" if over.n >= SEEDS_FOR_BEST else mean


def printed_error(cell: FinishedCell) -> paper.PrintedError | None:
    """The paper's test error of the cell's net on the cell's data set."""
    net = cell.net
    return paper.test_error(net["data"], net["family"], net["depth"], net["shortcut"], block=net.get("block", "paper"))


def seen(runs: GridRuns, key: str) -> str:
    """The values of a summary's key over all finished runs, in words: `600`, `32,000 and 64,000`."""
    values = dict.fromkeys(run.summary[key] for run in runs.finished if run.summary.get(key) is not None)
    words = [f"{value:,}" if isinstance(value, int) else str(value) for value in values]
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def dates(runs: GridRuns) -> str:
    """The days on which the runs finished: `2026-11-03`, `2026-11-03 to 2026-11-05`; empty where none says."""
    days = sorted(str(run.summary["finished"])[:10] for run in runs.finished if run.summary.get("finished"))
    return " to ".join(dict.fromkeys([days[0], days[-1]])) if days else ""


def _record(cell: FinishedCell) -> dict[str, Any]:
    net = cell.net
    errors: dict[str, float | None] = {}
    for key in ("train_error", "test_error", "val_error"):
        over = cell.over_seeds(key)
        errors[f"{key}_mean"] = over and over.mean
        errors[f"{key}_std"] = over and over.std
    printed = printed_error(cell)
    return {
        "cell": cell.name,
        **{key: net.get(key) for key in ("net", "family", "depth", "shortcut", "block", "stride_on", "data")},
        **{key: net.get(key) for key in ("params", "macs", "steps", "batch_size")},
        "n": len(cell.runs),
        **errors,
        "test_error_best": cell.over_seeds("test_error").best,
        "paper_test_error": printed and printed.best,
        "paper_test_error_mean": printed and printed.mean,
        "paper_test_error_std": printed and printed.std,
    }


def training(runs: GridRuns) -> str:
    """On what, for how long, how often, where and when the finished runs were trained."""
    counts = sorted({len(cell.runs) for cell in runs.cells})
    seeds = " to ".join(str(n) for n in dict.fromkeys([counts[0], counts[-1]]))
    how = [
        f"{seen(runs, 'data')}, {seen(runs, 'steps')} iterations of {seen(runs, 'batch_size')} images",
        f"n = {seeds} seed{'s' if counts[-1] > 1 else ''} a net",
        *filter(None, (seen(runs, "device"), seen(runs, "precision"), dates(runs))),
    ]
    return "; ".join(how)


def spreads(runs: GridRuns) -> list[str]:
    """Sentences about how errors over seeds are written."""
    most = max(len(cell.runs) for cell in runs.cells)
    sentences = {
        2: "±: sample standard deviation over seeds",
        SEEDS_FOR_BEST: f"From {SEEDS_FOR_BEST} seeds on: best (mean±std), as Table 6 of the paper has it",
    }
    return [sentence for seeds, sentence in sentences.items() if most >= seeds]


def _note(runs: GridRuns, unit: str) -> str:
    judged = "Validation error: of the last model, centre crop" if runs.photographs else "Test error: of the last model"
    sentences = [
        training(runs),
        runs.progress(),
        judged,
        "Train error: over the last logging window, of the batches as they were trained, with augmentation",
        f"{unit}: multiply-adds of the convolutions and the fully-connected layer for one image",
    ]
    if diverged := [f"{run.cell} (seed {run.seed})" for run in runs.finished if run.summary.get("diverged")]:
        sentences.append(f"Diverged, its loss is no number: {', '.join(diverged)}")
    cold = [run for run in runs.finished if run.summary.get("warmup_lr") and not run.summary.get("warmup_steps")]
    if cold:
        names = ", ".join(f"{run.cell} (seed {run.seed})" for run in cold)
        sentences.append(f"Warm-up never ended, the learning rate stayed at its own: {names}")
    sentences += spreads(runs)
    if any(map(printed_error, runs.cells)):
        theirs = paper.load()["table6"]["training"]
        sentences.append(f"Paper: Table 6, after {theirs['steps']:,} iterations of {theirs['batch_size']} images")
    return ". ".join(sentences) + "."


def _millions(params: int) -> str:
    """As Table 6 writes it: 0.27M, 1.7M, 19.4M."""
    return f"{params / 1e6:.{1 if params >= 1e6 else 2}f}M"
