"""Highway nets beside residual nets in the shape of Table 6, with what was printed of either."""

from lit_resnet import paper
from lit_resnet.metrics import TEST_ERROR
from lit_resnet.report.runs import FinishedCell, GridRuns
from lit_resnet.report.tables.cells import images, millions, printed_error, seen, spread, spreads, training
from lit_resnet.report.tables.table import NONE, Table

PRINTED = "highway-table2"


def highway(runs: GridRuns) -> Table:
    """A row for each printed highway net, then for each of ours, and for each other net, from shallow to deep."""
    header = ("net", "layers", "params", TEST_ERROR.head, "paper %", "n")
    rows, records = [], []
    for row in paper.load()[PRINTED]["rows"]:
        if row["net"].startswith("Highway"):
            mean = _error(row["mean"]) if "mean" in row else None
            error = paper.PrintedError(_error(row["accuracy"]), mean, row.get("std"))
            rows.append((row["net"], str(row["layers"]), f"{row['params']}M", NONE, str(error), NONE))
            records.append(_record(row["net"], row["layers"], round(1e6 * row["params"]), None, error))
    cells = sorted(runs.cells, key=lambda cell: (not _is_highway(cell), cell.depth or 0))
    nets = [cell.summary.net for cell in cells]
    for cell, net in zip(cells, nets, strict=True):
        name = f"{net} ({cell.name})" if nets.count(net) > 1 else net
        ours, error = cell.over_seeds(TEST_ERROR), printed_error(cell)
        params, count = cell.summary.params, str(len(cell.runs))
        rows.append((name, str(cell.depth or NONE), millions(params), spread(ours), str(error or NONE), count))
        records.append(_record(name, cell.depth, params, cell, error))
    return Table(
        title=f"Highway nets beside residual nets, in the shape of Table 6: test error (%), on {seen(runs, 'data')}",
        header=header,
        rows=tuple(rows),
        text_columns=1,
        note=". ".join(_sentences(runs)) + ".",
        records=tuple(records),
    )


def _is_highway(cell: FinishedCell) -> bool:
    return cell.summary.net_config.get("block") == "highway"


def _error(accuracy: float) -> float:
    """An accuracy as an error, in percent, with the two digits of the table."""
    return round(100 - accuracy, 2)


def _record(
    net: str, layers: int | None, params: int, cell: FinishedCell | None, printed: paper.PrintedError | None
) -> dict:
    """Raw values, under the names of the CSV."""
    ours = cell and cell.over_seeds(TEST_ERROR)
    record = {"net": net, "cell": cell and cell.name, "layers": layers, "params": params}
    record |= {"data": cell and cell.summary.data, "n": len(cell.runs) if cell else 0}
    record |= {f"{TEST_ERROR.name}_{key}": ours and getattr(ours, key) for key in ("mean", "std", "best")}
    record |= {f"paper_{TEST_ERROR.name}{key}": getattr(printed, of, None) for key, of in _PRINTED.items()}
    return record


_PRINTED = {"": "best", "_mean": "mean", "_std": "std"}


def _sentences(runs: GridRuns) -> list[str]:
    printed = paper.load()[PRINTED]
    return [
        training(runs),
        runs.progress(),
        *images(runs),
        *spreads(runs),
        f"Printed highway nets: Table {printed['number']} of {printed['paper']}, on CIFAR-10; their widths and their "
        "augmentation are others than ours",
        "Printed residual nets: Table 6, on CIFAR-10",
    ]
