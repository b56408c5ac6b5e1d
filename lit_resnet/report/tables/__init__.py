"""Tables of a report: the paper's, with our errors in them, and one of all nets of the grid."""

from pkgutil import resolve_name

from lit_resnet.grid import exhibits
from lit_resnet.report.runs import GridRuns
from lit_resnet.report.tables.table import Table


def make(runs: GridRuns) -> dict[str, Table]:
    """Make the tables that the grid asks for, in its order, and last the one of all nets; by the names of their files.

    Raises:
        InputError: An evaluation.json, or the file of an ensemble, is damaged.
    """
    entries = [*(exhibits.TABLES[name] for name in runs.grid.tables), exhibits.ALL_NETS]
    return {entry.name: resolve_name(f"{__name__}.{entry.make}")(runs) for entry in entries}
