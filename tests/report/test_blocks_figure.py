"""Pictures of blocks: where their steps are, that they are legible, on the page and by the verb."""

import json
from pathlib import Path

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.patches import FancyBboxPatch

from lit_resnet.cli import main
from lit_resnet.errors import InputError
from lit_resnet.grid.asked import Asked
from lit_resnet.report import write
from lit_resnet.report.figures.blocks import Branch, Layout, Panel, sheet
from lit_resnet.runfolder import diagrams
from lit_resnet.runfolder.diagrams import Diagram, Step

START = (
    Step("input", "", 16),
    Step("layer", "3x3", 16, takes=(0,)),
    Step("norm", "BN", 16, takes=(1,)),
)
PLAIN = Diagram((*START, Step("activation", "ReLU", 16, takes=(2,))), 9)
IDENTITY = Diagram((*START, Step("meet", "+", 16, takes=(2, 0)), Step("activation", "ReLU", 16, takes=(3,))), 7)
PADDED = Diagram(
    (
        Step("input", "", 16),
        Step("layer", "3x3", 32, 2, (0,)),
        Step("norm", "BN", 32, 1, (1,)),
        Step("resize", "zero-padding", 32, 2, (0,)),
        Step("meet", "+", 32, 1, (2, 3)),
    ),
    2,
)
GATED = Diagram(
    (
        *START,
        Step("layer", "1x1", 16, takes=(0,)),
        Step("activation", "sigmoid", 16, takes=(3,)),
        Step("scale", "1 −", 16, takes=(4,)),
        Step("meet", "×", 16, takes=(5, 0)),
        Step("meet", "×", 16, takes=(4, 2)),
        Step("meet", "+", 16, takes=(6, 7)),
    )
)
WIDER = Diagram(tuple(Step(s.kind, s.does, 2 * s.width, s.stride, s.takes) for s in IDENTITY.steps), 7)


def test_words_and_structure():
    assert [step.words for step in PADDED.steps] == ["16-d", "3x3, 32, /2", "BN", "zero-padding, 32, /2", "+"]
    assert WIDER.structure == IDENTITY.structure
    assert len({diagram.structure for diagram in (PLAIN, IDENTITY, PADDED, GATED)}) == 4


@pytest.mark.parametrize(
    ("diagram", "main_path", "branches", "rows"),
    [
        (PLAIN, (0, 1, 2, 3), (), [0, 1, 2, 3]),
        (IDENTITY, (0, 1, 2, 3, 4), (Branch(0, (), 3),), [0, 1, 2, 3, 4]),
        (PADDED, (0, 1, 2, 4), (Branch(0, (3,), 4),), [0, 1, 2, 1.5, 3]),
        (
            GATED,  # the gate inside, then from the gate to the shortcut, then the shortcut
            (0, 1, 2, 7, 8),
            (Branch(0, (3, 4), 7), Branch(4, (5,), 6), Branch(0, (6,), 8)),
            [0, 1, 2, 1, 2, 3, 3, 3, 4],
        ),
    ],
)
def test_the_residual_function_goes_down_and_all_else_beside_it(
    diagram: Diagram, main_path: tuple[int, ...], branches: tuple[Branch, ...], rows: list[float]
):
    layout = Layout(diagram.steps)
    assert layout.main == main_path
    assert layout.branches == branches
    assert layout.rows == rows
    assert layout.lanes == sorted(set(layout.lanes))


def test_they_are_legible():
    figure = sheet(
        [Panel(f"a net with a long name {i}", "7 of 9 blocks", d) for i, d in enumerate((PADDED, GATED) * 4)]
    )
    FigureCanvasAgg(figure).draw()
    (ax,) = figure.axes
    boxes = [patch.get_window_extent() for patch in ax.patches if isinstance(patch, FancyBboxPatch)]
    texts = [text.get_window_extent() for text in ax.texts]
    inside = [text for text in texts if any(box.contains(*text.min) and box.contains(*text.max) for box in boxes)]
    assert len(inside) == len(boxes) == 4 * (3 + 5)
    assert not any(text.overlaps(box) for text in texts if text not in inside for box in boxes)
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    assert not any(a.overlaps(b) for i, a in enumerate(texts) for b in texts[:i])
    assert all(figure.bbox.contains(*one.min) and figure.bbox.contains(*one.max) for one in (*boxes, *texts))


def test_the_report_draws_each_kind_once(lab):
    grid = lab.grid(["A", "B", "plain"], report={"figures": ["blocks"]})
    for cell, kinds in {"A": (IDENTITY, PADDED), "B": (WIDER,), "plain": (PLAIN,)}.items():
        run = lab.finish(cell, net=f"Net {cell}", shortcut="none" if cell == "plain" else cell)
        diagrams.keep(run.path, kinds)
    made = write(Asked(grid, root=lab.root))
    svg = (made.folder / "figures" / "blocks.svg").read_text()
    assert "Net A and Net B" in svg
    assert [svg.count(words) for words in ("3x3, 16<", "3x3, 32<", "3x3, 32, /2<", "identity<")] == [2, 0, 1, 1]
    assert "7 of 9 blocks of Net A" in svg
    assert "Blocks, in the manner of Figs. 2 and 5" in made.page.read_text()


def test_without_a_record_it_says_what_is_missing(lab):
    lab.finish("A")
    made = write(Asked(lab.grid(["A"], report={"figures": ["blocks"]}), root=lab.root))
    assert made.not_drawn == (
        "blocks: No finished run has recorded the blocks of its net: lit-resnet nets --blocks draws those of any.",
    )


def test_what_is_kept_is_read(tmp_path: Path):
    assert diagrams.read(tmp_path) == ()
    diagrams.keep(tmp_path, (IDENTITY, GATED))
    assert diagrams.read(tmp_path) == (IDENTITY, GATED)


@pytest.mark.parametrize(
    "content",
    [
        "[]",
        '{"blocks": 1}',
        '{"blocks": [{"count": 0, "steps": [["input", "", 1, 1, []]]}]}',
        '{"blocks": [{"count": 1, "steps": []}]}',
        *(
            json.dumps({"blocks": [{"count": 1, "steps": [["input", "", 16, 1, []], step]}]})
            for step in (
                ["layer", "3x3", 16, 1, [1]],
                ["layer", "3x3", 16, 1, []],
                ["layer", "3x3", 1e300, 1, [0]],
                ["layer", "3\n3", 16, 1, [0]],
                ["layer", "x" * 1000, 16, 1, [0]],
                ["layer", "", 16, 1, [0]],
                ["magic", "3x3", 16, 1, [0]],
                ["layer", "3x3"],
            )
        ),
    ],
)
def test_what_is_damaged_is_one_line(tmp_path: Path, content: str):
    (tmp_path / diagrams.NAME).write_text(content)
    with pytest.raises(InputError, match=r"blocks\.json: damaged"):
        diagrams.read(tmp_path)


def test_the_blocks_of_one_net(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    words = ["nets", "--blocks", "depth=32", "gate=exclusive", "--format", "csv", "--to", str(tmp_path)]
    assert main(words) == 0
    said = capsys.readouterr()
    assert said.out.splitlines()[:3] == ["block,count,step,does,takes", "1,13,0,16-d,", '1,13,1,"3x3, 16",0']
    assert {path.name for path in tmp_path.iterdir()} == {"blocks.png", "blocks.svg"}
    for wrong, message in {
        "depth": "write KEY=VALUE with a key of model.net",
        "depht=20": "did you mean depth?",
        "depth=21": "a cifar net has 6n+2 layers",
        "depth=[": "not YAML",
        "depth=x": "depth cannot be this",
        "depth.x=1": "depth cannot be this",
        "gate_value=1": "gate is none",
        "depth=20 depth=8": "depth is said twice",
    }.items():
        assert main(["nets", "--blocks", *wrong.split()]) == 2
        assert message in capsys.readouterr().err
    assert main(["nets", "--blocks", "family=vgg", "depth=16", "shortcut=none"]) == 2
    assert "VGG-16: has no blocks" in capsys.readouterr().err
