"""The code of the pages on how to extend the package, run as it stands there."""

import re
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
Add = Callable[[str], None]


def code(heading: str, page: str = "extending.md") -> list[tuple[str, str]]:
    """The Python of the section below a heading, block by block, each after the words before it."""
    text = (ROOT / "docs" / page).read_text()
    (section,) = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", text, flags=re.DOTALL | re.MULTILINE)
    return re.findall(r"(.*?)^```python\n(.*?)^```", section, flags=re.DOTALL | re.MULTILINE)


@pytest.fixture
def add(monkeypatch: pytest.MonkeyPatch) -> Iterator[Add]:
    """`add(heading)` runs each block of a section in the file that it names; the test's end takes out what it added."""
    from lit_resnet.data.sources import DATA_SETS
    from lit_resnet.grid.exhibits import FIGURES, TABLES
    from lit_resnet.launch.launcher import LAUNCHERS
    from lit_resnet.nets.blocks import BLOCKS, SHORTCUTS
    from lit_resnet.nets.gates import GATES
    from lit_resnet.nets.orders import ORDERS
    from lit_resnet.task import TASKS

    tables: tuple[dict, ...] = (BLOCKS, SHORTCUTS, GATES, ORDERS, DATA_SETS, FIGURES, TABLES, LAUNCHERS, TASKS)
    before = [(table, set(table)) for table in tables]

    def added(heading: str) -> None:
        for words, block in code(heading):
            place = re.search(r"`(lit_resnet/\S+)\.py`:\s*\Z", words)
            assert place, "each block says in which file it is"
            name = place[1].replace("/", ".")
            if (ROOT / f"{place[1]}.py").exists():
                assert "import" not in block, "that file has all that the block uses"
                names = vars(import_module(name))
                before.append((names, set(names)))
            else:
                module = ModuleType(name)
                monkeypatch.setitem(sys.modules, name, module)
                names = vars(module)
            exec(compile(block, f"docs/extending.md: {heading}", "exec"), names)

    yield added
    for names, known in before:
        for name in names.keys() - known:
            del names[name]
