"""Blocks as their forward pass runs, in the manner of Figs. 2 and 5, drawn from plain values alone.

The residual function goes down, with the gate beside it and the shortcut beside that.
"""

import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby, pairwise
from math import prod
from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path

from lit_resnet.report.figures.drawing import Drawn
from lit_resnet.report.runs import FinishedCell
from lit_resnet.runfolder.diagrams import Diagram, Kind, Step

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# All lengths are inches.
ROW, BOX, CIRCLE = 0.37, 0.235, 0.095  # from step to step; height of a box; radius of a circle
LETTER, NARROWEST = 0.066, 0.5  # width of a letter in a box, and of the narrowest box
GAP = 0.28  # between columns
HEAD, FOOT, BESIDE = 0.62, 0.3, 0.3  # above and below a panel's steps, and between panels
WIDEST = 9.0  # of a row of panels
TITLE = 26  # letters of a line of a title
MOST_PANELS = 24

FILLS: dict[Kind, str] = {
    "layer": "#cde4f7",
    "norm": "#f7edc6",
    "activation": "#fde3cf",
    "resize": "#e1dcf5",
    "scale": "#f9d5d7",
    "meet": "#ffffff",
    "other": "#e6e6e6",
}
INK, LINE, QUIET = "#222222", "#555555", "#666666"


@dataclass(frozen=True)
class Panel:
    """A block to be drawn: a title, a line below it, and the steps."""

    title: str
    note: str
    diagram: Diagram


@dataclass(frozen=True)
class Branch:
    """A path beside the main one.

    Args:
        start: The step that it leaves.
        steps: Its own steps, from the first to the last; there may be none.
        end: The step in which it ends, where paths meet.
    """

    start: int
    steps: tuple[int, ...]
    end: int


@dataclass(frozen=True)
class Layout:
    """Where the steps of a block are drawn.

    Args:
        steps: The block's.
        main: The path that goes down: the residual function, and what follows the addition.
        branches: The paths beside it, in the order of their columns from the main path outwards.
    """

    steps: tuple[Step, ...]
    main: tuple[int, ...] = field(init=False)
    branches: tuple[Branch, ...] = field(init=False)

    def __post_init__(self) -> None:
        placed = set(main := self._back(len(self.steps) - 1, set()))
        branches: list[Branch] = []
        waiting = list(main)
        while waiting:
            end = waiting.pop(0)
            for taken in self.steps[end].takes:
                follows = (end in main and taken in main and main.index(end) == main.index(taken) + 1) or any(
                    (taken, end) in pairwise(branch.steps) for branch in branches
                )
                first = any(branch.start == taken and branch.steps[:1] == (end,) for branch in branches)
                if follows or first:
                    continue
                own = self._back(taken, placed)
                start = own.pop(0)
                branches.append(Branch(start, tuple(own), end))
                placed |= set(own)
                waiting += own
        object.__setattr__(self, "main", tuple(main))
        object.__setattr__(self, "branches", tuple(sorted(branches, key=self._outwards)))

    def _back(self, step: int, placed: set[int]) -> list[int]:
        """The path that leads to a step, from a step that is placed already, or from the input."""
        path = [step]
        while path[0] not in placed and self.steps[path[0]].takes:
            path.insert(0, max(self.steps[path[0]].takes, key=self._weight))
        return path

    def _weight(self, step: int) -> tuple[bool, int, int, int]:
        """What makes the path to a step the residual function: it is no gate, and has more and larger layers."""
        path = [step]
        while takes := self.steps[path[-1]].takes:
            path.append(takes[0] if len(takes) == 1 else max(takes, key=lambda one: (not self._gate(one), one)))
        layers = [self.steps[one] for one in path if self.steps[one].kind == "layer"]
        return not self._gate(step), len(layers), sum(map(_area, layers)), len(path)

    def _gate(self, step: int) -> bool:
        """Whether its output opens a gate: that of a sigmoid, or one minus it."""
        while self.steps[step].kind == "scale" and self.steps[step].does.endswith("−"):
            step = self.steps[step].takes[0]
        return "sigmoid" in self.steps[step].does.lower()

    def _outwards(self, branch: Branch) -> tuple[int, int]:
        """Gates are inside, then what leads from a gate to the shortcut, then the shortcuts."""
        if self.across(branch):
            return 1, branch.start
        return (0 if self._gate((branch.start, *branch.steps)[-1]) else 2), -branch.start

    def across(self, branch: Branch) -> bool:
        """Whether it leads from one side branch to another, level with its end."""
        return branch.start not in self.main and branch.end not in self.main

    @cached_property
    def rows(self) -> list[float]:
        """The row of each step, from 0 for the input; those of side branches are halfway between their ends."""
        level = {step for branch in self.branches if self.across(branch) for step in branch.steps}
        takers = [[b for b, step in enumerate(self.steps) if a in step.takes] for a in range(len(self.steps))]
        early: list[float] = []
        for step in self.steps:
            early.append(max((early[one] + (0 if one in level else 1) for one in step.takes), default=0))
        late = list(early)
        for place in reversed(range(len(self.steps))):
            if place not in self.main and takers[place]:
                late[place] = min(late[one] - (0 if place in level else 1) for one in takers[place])
        rows = [
            late[place] if step.kind == "meet" or place in level else (early[place] + late[place]) / 2
            for place, step in enumerate(self.steps)
        ]
        for place, step in enumerate(self.steps):
            if place not in level:
                rows[place] = max([rows[place], *(rows[one] + 1 for one in step.takes if one not in level)])
        return rows

    @cached_property
    def lanes(self) -> list[float]:
        """The x of the main path, 0, and of each branch."""
        places, edge = [0.0], self._width(self.main) / 2
        for branch in self.branches:
            width = self._width(branch.steps) if branch.steps else 2 * CIRCLE
            places.append(edge + GAP + width / 2)
            edge += GAP + width
        return places

    @property
    def left(self) -> float:
        """How far it reaches to the left of the main path."""
        return self._width(self.main) / 2

    @property
    def right(self) -> float:
        """How far it reaches to the right."""
        last = self.branches[-1] if self.branches else None
        if last is None:
            return self.left
        words = LETTER * len("identity") + 0.1 if not last.steps else 0
        return self.lanes[-1] + max(self._width(last.steps) / 2, words)

    def _width(self, steps: Sequence[int]) -> float:
        return max((width(self.steps[step]) for step in steps), default=0.0)

    def lane(self, step: int) -> float:
        """The x of a step."""
        for x, branch in zip(self.lanes[1:], self.branches, strict=True):
            if step in branch.steps:
                return x
        return self.lanes[0]


def _area(layer: Step) -> int:
    """Of a layer's kernel."""
    sides = re.match(r"[0-9]+(x[0-9]+)*", layer.does)
    return prod(map(int, sides[0].split("x"))) if sides else 1


def width(step: Step) -> float:
    """Of what is drawn for a step."""
    return 2 * CIRCLE if round_(step) else max(NARROWEST, LETTER * len(step.words) + 0.14)


def round_(step: Step) -> bool:
    """Whether it is drawn as a circle."""
    return step.kind == "meet" and len(step.words) == 1


def sheet(panels: Sequence[Panel]) -> Figure:
    """Panels side by side, in as many rows as they need."""
    layouts = [Layout(panel.diagram.steps) for panel in panels]
    lines = [textwrap.wrap(panel.title, TITLE, break_on_hyphens=False) or [""] for panel in panels]
    widths = [
        max(layout.left + layout.right, *(0.085 * len(line) for line in said), 0.07 * len(panel.note))
        for layout, said, panel in zip(layouts, lines, panels, strict=True)
    ]
    rows = _in_rows([panel.title for panel in panels], widths)
    heads = [HEAD + 0.17 * max(len(lines[one]) - 1 for one in row) for row in rows]
    heights = [
        head + FOOT + ROW * (max(layouts[one].rows[-1] for one in row) + 1)
        for head, row in zip(heads, rows, strict=True)
    ]
    size = (BESIDE + max(sum(widths[one] + BESIDE for one in row) for row in rows), sum(heights))
    figure = Figure(figsize=size)
    ax = figure.add_axes((0, 0, 1, 1), xlim=(0, size[0]), ylim=(size[1], 0))
    ax.set_axis_off()
    top = 0.0
    for row, head, height in zip(rows, heads, heights, strict=True):
        x = BESIDE
        for one in row:
            middle = x + widths[one] / 2
            for number, line in enumerate([*lines[one], panels[one].note]):
                note = number == len(lines[one])
                look = (
                    {"fontsize": 7.5, "color": QUIET} if note else {"fontsize": 9, "fontweight": "bold", "color": INK}
                )
                ax.text(middle, top + 0.2 + 0.17 * number, line, ha="center", va="center", parse_math=False, **look)
            slack = widths[one] - layouts[one].left - layouts[one].right
            _draw(ax, layouts[one], x + slack / 2 + layouts[one].left, top + head)
            x += widths[one] + BESIDE
        top += height
    return figure


def _in_rows(titles: Sequence[str], widths: Sequence[float]) -> list[list[int]]:
    """The panels of each row; those of one title stay together where a row has room for them."""
    rows: list[list[int]] = [[]]

    def room(panels: Sequence[int]) -> bool:
        return sum(widths[one] + BESIDE for one in panels) <= WIDEST

    for _, alike in groupby(range(len(titles)), key=titles.__getitem__):
        group = list(alike)
        if rows[-1] and room(group) and not room([*rows[-1], *group]):
            rows.append([])
        for one in group:
            if rows[-1] and not room([*rows[-1], one]):
                rows.append([])
            rows[-1].append(one)
    return rows


def _draw(ax: "Axes", layout: Layout, x: float, y: float) -> None:
    """A block, with its input at a place."""
    steps, rows = layout.steps, layout.rows
    for place, step in enumerate(steps):
        at = (x + layout.lane(place), y + ROW * rows[place])
        if step.kind == "input":
            ax.text(*at, step.words, ha="center", va="center", fontsize=7.5, color=QUIET, parse_math=False)
        elif round_(step):
            ax.add_patch(Circle(at, CIRCLE, facecolor=FILLS["meet"], edgecolor=LINE, linewidth=0.9, zorder=3))
            ax.text(*at, step.words, ha="center", va="center_baseline", fontsize=9, color=INK, zorder=4)
        else:
            look = {"facecolor": FILLS[step.kind], "edgecolor": LINE, "linewidth": 0.7, "zorder": 3}
            half = width(step) / 2
            corner = (at[0] - half, at[1] - BOX / 2)
            ax.add_patch(FancyBboxPatch(corner, 2 * half, BOX, boxstyle="round,pad=0,rounding_size=0.05", **look))
            ax.text(*at, step.words, ha="center", va="center", fontsize=7.5, color=INK, zorder=4, parse_math=False)
    for points in _lines(layout):
        _arrow(ax, [(x + across, y + ROW * down) for across, down in points])
    for across, branch in zip(layout.lanes[1:], layout.branches, strict=True):
        if not branch.steps and steps[branch.end].does == "+":
            middle = y + ROW * (rows[branch.start] + rows[branch.end]) / 2
            ax.text(x + across + 0.06, middle, "identity", va="center", fontsize=7.5, color=QUIET, style="italic")
    end = rows[-1] + 1
    _arrow(ax, [(x, y + ROW * (rows[-1] + _half(steps[-1]))), (x, y + ROW * end - 0.02)])
    if steps[-1].width != steps[0].width:
        words = f"{steps[-1].width}-d"
        ax.text(x, y + ROW * end + 0.08, words, ha="center", va="center", fontsize=7.5, color=QUIET)


def _half(step: Step) -> float:
    """Half the height of what is drawn for a step, in rows."""
    return (CIRCLE if round_(step) else 0.09 if step.kind == "input" else BOX / 2) / ROW


def _lines(layout: Layout) -> Iterator[list[tuple[float, float]]]:
    """The lines between steps, as points (x, row)."""
    steps, rows = layout.steps, layout.rows

    def below(step: int) -> tuple[float, float]:
        return layout.lane(step), rows[step] + _half(steps[step])

    def above(step: int) -> tuple[float, float]:
        return layout.lane(step), rows[step] - _half(steps[step])

    def beside(step: int, start: float) -> tuple[float, float]:
        """The side of a step that looks to x `start`."""
        x = layout.lane(step)
        return x + (width(steps[step]) / 2 if start > x else -width(steps[step]) / 2), rows[step]

    for path in (layout.main, *(branch.steps for branch in layout.branches)):
        yield from ([below(one), above(other)] for one, other in pairwise(path))
    for lane, branch in zip(layout.lanes[1:], layout.branches, strict=True):
        start, fork = layout.lane(branch.start), rows[branch.start] + 0.5
        if layout.across(branch):
            row = rows[branch.end]
            way = [below(branch.start), (start, row)]
            for step in branch.steps:
                yield [*way, beside(step, start)]
                way = [(lane + width(steps[step]) / 2, row)]
            yield [*way, beside(branch.end, start)]
            continue
        leaves = [below(branch.start), (start, fork), (lane, fork)]
        if branch.steps:
            yield [*leaves, above(branch.steps[0])]
            leaves = [below(branch.steps[-1])]
        elif start != 0 and branch.end in layout.main:
            leaves = [below(branch.start)]  # straight down, and back to the main path
            lane = start
        yield [*leaves, (lane, rows[branch.end]), beside(branch.end, lane)]


def _arrow(ax: "Axes", points: Sequence[tuple[float, float]]) -> None:
    look = {"arrowstyle": "-|>,head_length=2.6,head_width=1.3", "mutation_scale": 1, "linewidth": 0.8, "color": LINE}
    ax.add_patch(FancyArrowPatch(path=Path(list(points)), zorder=1, joinstyle="round", **look))


def blocks(cells: Sequence[FinishedCell]) -> Drawn:
    """Each kind of block of the nets, once, as the forward pass runs."""
    found: dict[object, list[tuple[FinishedCell, Diagram]]] = {}
    for cell in cells:
        for diagram in cell.runs[0].diagrams:
            found.setdefault(diagram.structure, []).append((cell, diagram))
    if not found:
        return (
            None,
            "No finished run has recorded the blocks of its net: lit-resnet nets --blocks draws those of any.",
        )
    panels = [_panel(alike) for alike in found.values()]
    caption = (
        "Each kind of block in these nets, read from the modules as the forward pass runs, with the widths of the "
        "first of its kind: 3x3, 64 is a convolution with 64 filters, /2 halves the map. Blocks that differ in their "
        "widths alone are drawn once. A circle is where paths meet: + adds them, × multiplies them."
    )
    if more := len(panels) - MOST_PANELS:
        caption += f" {more} more kinds are not shown." if more > 0 else ""
    return sheet(panels[:MOST_PANELS]), caption


def _panel(alike: list[tuple[FinishedCell, Diagram]]) -> Panel:
    """The panel for cells whose nets have blocks of one kind."""
    nets = list(dict.fromkeys(cell.summary.net for cell, _ in alike))
    title = " and ".join(nets) if len(nets) < 3 else f"{nets[0]} and {len(nets) - 1} more nets"
    cell, diagram = alike[0]
    of = sum(one.count for one in cell.runs[0].diagrams)
    whose = "" if len(nets) == 1 else f" of {nets[0]}"
    return Panel(title, f"{diagram.count} of {of} blocks{whose}", diagram)
