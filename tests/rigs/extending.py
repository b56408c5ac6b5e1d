"""The code of the pages on how to extend the package, run as it stands there."""

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

DOCS = Path(__file__).parents[2] / "docs"
Add = Callable[..., ModuleType]


def code(heading: str, page: str = "extending.md") -> list[str]:
    """The Python of the section below a heading, block by block."""
    text = (DOCS / page).read_text()
    (section,) = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", text, flags=re.DOTALL | re.MULTILINE)
    return re.findall(r"^```python\n(.*?)^```", section, flags=re.DOTALL | re.MULTILINE)


@pytest.fixture
def add(monkeypatch: pytest.MonkeyPatch) -> Iterator[Add]:
    """`add(heading, name)` runs a section's code as a module of that name; the test's end takes out what it added."""
    from lit_resnet.data.sources import DATA_SETS
    from lit_resnet.grid.exhibits import FIGURES, TABLES
    from lit_resnet.launch.launcher import LAUNCHERS
    from lit_resnet.nets.blocks import BLOCKS, SHORTCUTS
    from lit_resnet.nets.gates import GATES
    from lit_resnet.nets.orders import ORDERS
    from lit_resnet.task import TASKS

    def added(heading: str, name: str = "mine") -> ModuleType:
        module = ModuleType(name)
        monkeypatch.setitem(sys.modules, name, module)
        for block in code(heading):
            exec(compile(block, f"docs/extending.md: {heading}", "exec"), module.__dict__)
        return module

    tables: tuple[dict, ...] = (BLOCKS, SHORTCUTS, GATES, ORDERS, DATA_SETS, FIGURES, TABLES, LAUNCHERS, TASKS)
    before = [dict(table) for table in tables]
    yield added
    for table, entries in zip(tables, before, strict=True):
        table.clear()
        table.update(entries)
