"""The house: rooms import only from rooms below them, and what has to answer at once never reaches torch.

Every import counts: at the top of a file, inside functions, for type checkers only; and names of modules in strings,
such as those of processes to start (`-m`), of a fork server's preloads, and in tables of what is imported when needed.
"""

import ast
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import lit_resnet
from lit_resnet.task import TASKS

# From the top; two on one line do not know each other.
ROOMS = (
    ("__main__",),
    ("cli",),
    ("verbs",),
    ("doctor",),
    ("tracking",),
    ("report",),
    ("launch",),
    ("grid",),
    ("run",),
    ("training",),
    ("evaluation",),
    ("data",),
    ("probes",),
    ("runfolder",),
    ("sameness",),
    ("task",),
    ("nets",),
    ("paper",),
    ("metrics",),
)
# Below all rooms; these know each other.
GROUND = ("data_sets", "errors", "files", "listing", "moved", "nested", "own_code")

# What must answer at once, or lives beside the training: the process of each of these never imports what is heavy.
LIGHT_VERBS = ("status", "cancel", "logs", "report", "wandb", "launch", "zoo")
LIGHT = ("cli", *(f"verbs.{verb}" for verb in LIGHT_VERBS), "verbs.completion", "tracking.follow")
HEAVY = ("torch", "torchvision", "torchmetrics", "lightning", "fvcore")
# Of these, imports inside functions are no way to torch. cli: its functions import the one verb that is asked for.
# worker: its functions run in processes forked from the pool's server, or in ranks of a run, whose work needs torch;
# the process of a launch imports the top of the file, and only passes the functions on.
TOP_ALONE = ("cli", "launch.worker")
# A task says in strings which classes are its own. It imports none of them; `run`, which is above them all, does.
NAMES_ALONE = ("task",)


@dataclass(frozen=True)
class Import:
    """One module that a file names: in full, on which line, and how."""

    module: str
    line: int
    deep: bool = False  # inside a function
    typing: bool = False  # for type checkers only
    string: bool = False


class House:
    """A copy of the package, read and not imported."""

    def __init__(self, folder: Path) -> None:
        self.name = folder.name
        files = {path: ".".join(path.relative_to(folder.parent).with_suffix("").parts) for path in folder.rglob("*.py")}
        self.trees = {
            name.removesuffix(".__init__"): ast.parse(path.read_text(), str(path)) for path, name in files.items()
        }
        self.imports = {name: list(self._imports(tree, False, False)) for name, tree in self.trees.items()}
        for room in NAMES_ALONE:
            module = f"{self.name}.{room}"
            self.imports[module] = [one for one in self.imports[module] if not one.string]

    def _imports(self, node: ast.AST, deep: bool, typing: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            yield from (Import(self._module(name.name), node.lineno, deep, typing) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{ast.unparse(node)}: write the whole name"
            yield from (Import(self._module(f"{node.module}.{n.name}"), node.lineno, deep, typing) for n in node.names)
        elif isinstance(node, ast.Constant) and re.fullmatch(rf"{self.name}(\.\w+)+(:\w+)?", str(node.value)):
            yield Import(self._module(node.value.partition(":")[0]), node.lineno, deep, typing, string=True)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            typing = True
        deep = deep or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            yield from self._imports(child, deep, typing)

    def _module(self, name: str) -> str:
        """The module of the house that a dotted name is, or is in; other names as they are."""
        while name.startswith(f"{self.name}.") and name not in self.trees:
            name = name.rpartition(".")[0]
        return name

    def room(self, module: str) -> str:
        return module.removeprefix(self.name).strip(".").partition(".")[0]

    def floor(self, room: str) -> int:
        """From 0 at the ground."""
        if room in GROUND:
            return 0
        return next(len(ROOMS) - i for i, rooms in enumerate(ROOMS) if room in rooms)

    def upward(self) -> list[str]:
        """All that names a module of a room which is not below its own, as `file:line: module`."""
        found = []
        for name, imports in self.imports.items():
            here = self.room(name)
            for one in imports:
                there = self.room(one.module)
                # The package itself is no room: it has the version, and lazily what users import from it.
                if not here or not one.module.startswith(self.name) or there in ("", here):
                    continue
                if self.floor(there) >= self.floor(here) and not {here, there} <= set(GROUND):
                    found.append(f"{name}:{one.line}: {one.module}")
        return found

    def ways_to_torch(self, start: str) -> list[str]:
        """How a module can come to import what is heavy, by all that it imports; the shortest ways."""
        ways, queue, found = {start: [start]}, [start], []
        while queue:
            name = queue.pop(0)
            for one in self._followed(name):
                if one.module.partition(".")[0] in HEAVY:
                    found.append(" > ".join([*ways[name], one.module]))
                for module in self._with_parents(one.module):
                    if module in self.trees and module not in ways:
                        ways[module] = [*ways[name], module]
                        queue.append(module)
        return found

    def _followed(self, name: str) -> list[Import]:
        """What importing a module, and calling what is in it, can import in the same process."""
        whole = self.imports[name]
        top_alone = name == self.name or name.removeprefix(f"{self.name}.") in TOP_ALONE
        return [one for one in whole if not one.typing and not (top_alone and (one.deep or one.string))]

    def _with_parents(self, module: str) -> Iterator[str]:
        parts = module.split(".")
        yield from (".".join(parts[: i + 1]) for i in range(len(parts)))


@pytest.fixture(scope="module")
def house() -> House:
    return House(Path(lit_resnet.__file__).parent)


def test_every_file_has_its_floor(house: House):
    rooms = {house.room(name) for name in house.trees} - {""}
    known = {room for rooms in ROOMS for room in rooms}
    assert rooms == known | set(GROUND)


def test_the_page_on_architecture_says_these_rooms_and_arrows():
    page = (Path(__file__).parent.parent / "docs" / "architecture.md").read_text()
    _, rooms, arrows, _ = re.split(r"^## (?:Rooms|Arrows|Contracts)$", page, flags=re.MULTILINE)
    table = re.findall(r"^\| (`.*?) \|", rooms, flags=re.MULTILINE)
    named = {name for cell in table for name in re.findall(r"`(\w+)(?:\.py|/)`", cell)}
    assert named == ({room for rooms in ROOMS for room in rooms} | set(GROUND)) - {"__main__"}
    order = arrows[arrows.index("`__main__`") : arrows.index("→ the ground floor")].strip("→ \n")
    assert tuple(tuple(re.findall(r"`(\w+)`", step)) for step in order.split("→") if step.strip()) == ROOMS


def test_arrows_only_go_down(house: House):
    assert house.upward() == []


@pytest.mark.parametrize("module", LIGHT)
def test_what_answers_at_once_cannot_reach_torch(house: House, module: str):
    assert house.ways_to_torch(f"{house.name}.{module}") == []


def asks_which_task(tree: ast.AST) -> list[int]:
    """Lines of comparisons with a task, or with the name of one."""
    names = {*TASKS, *(name.upper().replace("-", "_") for name in TASKS)}
    compared = [node for node in ast.walk(tree) if isinstance(node, ast.Compare)]
    words = [(node.lineno, part) for node in compared for part in ast.walk(node)]
    said = [(line, getattr(part, key)) for line, part in words for key in ("id", "attr", "value") if hasattr(part, key)]
    return sorted({line for line, word in said if isinstance(word, str) and word in names})


def test_nobody_asks_which_task_it_is(house: House):
    """A second task adds files, not branches (contract 3)."""
    trees = {module: tree for module, tree in house.trees.items() if house.room(module) != "task"}
    assert {module: lines for module, tree in trees.items() if (lines := asks_which_task(tree))} == {}
    assert asks_which_task(ast.parse('a == task.DETECTION\nb in ("detection",)\nc is OWN_DATA\n')) == [1, 2, 3]


PLANTED = {
    "at the top": "from lit_resnet.report import runs\n",
    "inside a function": "def late():\n    import lit_resnet.report.runs\n",
    "for type checkers": "if TYPE_CHECKING:\n    from lit_resnet.report.runs import Run\n",
    "to start a process": 'COMMAND = ["python", "-m", "lit_resnet.report.runs"]\n',
    "in a table": 'TABLE = {"runs": "lit_resnet.report.runs:Run"}\n',
}


@pytest.mark.parametrize("how", PLANTED)
def test_an_arrow_that_goes_up_is_found(house: House, how: str, tmp_path: Path):
    copy = tmp_path / "lit_resnet"
    shutil.copytree(Path(lit_resnet.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    file = copy / "grid" / "cluster.py"
    lines = file.read_text().count("\n")
    with file.open("a") as end:
        end.write(PLANTED[how])
    (found,) = set(House(copy).upward()) - set(house.upward())
    assert re.fullmatch(r"lit_resnet\.grid\.cluster:(\d+): lit_resnet\.report\.runs", found)
    assert int(found.split(":")[1]) > lines


def test_a_way_to_torch_is_found(tmp_path: Path):
    copy = tmp_path / "lit_resnet"
    shutil.copytree(Path(lit_resnet.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    with (copy / "grid" / "cluster.py").open("a") as end:
        end.write("def late():\n    from lit_resnet.nets import build\n")
    found = House(copy).ways_to_torch("lit_resnet.verbs.status")
    assert any("lit_resnet.grid.cluster > lit_resnet.nets > " in way and way.endswith("torch") for way in found)
