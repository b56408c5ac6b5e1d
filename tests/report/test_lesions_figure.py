"""The figure of nets without some of their blocks, and when it is drawn."""

import hashlib

import pytest

from lit_resnet.errors import InputError
from lit_resnet.grid.asked import Asked
from lit_resnet.report import figures, runs
from lit_resnet.report.figures.drawing import Drawing, render
from lit_resnet.runfolder import lesions
from lit_resnet.runfolder.folder import RunFolder
from lit_resnet.runfolder.lesions import Lesion

WEIGHTS = b"weights"
ASKED = {"report": {"figures": ["lesions"]}}


def measure(run: RunFolder, whole: float, alone: list[float], two: tuple[float, ...] = ()) -> None:
    """Keep errors of a net of some blocks, of which the second changes dimensions; the checkpoint is whole."""
    found = [Lesion((), True, whole)]
    found += [Lesion((f"layer1.{i}",), i != 1, error) for i, error in enumerate(alone)]
    found += [Lesion(("layer1.0", f"layer1.{i}"), True, error) for i, error in enumerate(two, start=2)]
    run.checkpoints.mkdir(exist_ok=True)
    (run.checkpoints / "last.ckpt").write_bytes(WEIGHTS)
    run.config_file.write_text(f"model: {{}}\nseed_everything: {run.path.name[-1]}\n")
    lesions.keep(run.path, hashlib.sha256(WEIGHTS).hexdigest(), found)


def draw(lab, grid: str) -> dict[str, Drawing]:
    return {drawing.name: drawing for drawing in figures.draw(runs.read(Asked(grid, root=lab.root)))}


def test_blocks_alone_and_several_of_plain_and_residual_nets(lab):
    grid = lab.grid(["plain", "res"], seeds=[0, 1], **ASKED)
    measure(lab.finish("plain", 0, shortcut="none"), 10, [80, 85, 90, 95])
    lab.finish("plain", 1, shortcut="none")
    measure(lab.finish("res", 0), 8, [12, 20, 9, 8], two=(20, 22))
    measure(lab.finish("res", 1), 10, [14, 40, 11, 12], two=(24, 26))
    drawing = draw(lab, grid)["lesions"]
    alone, several = drawing.figure.axes
    lines = [list(line.get_ydata()) for line in alone.get_lines()]
    assert lines == [[80, 85, 90, 95], [10, 10], [85], [13, 30, 10, 10], [9, 9], [30], [90, 90]]
    assert [line.is_dashed() for line in alone.get_lines()[:5:3]] == [True, False]
    assert list(alone.get_lines()[2].get_xdata()) == pytest.approx([1 / 3])
    plain, residual, *_ = several.get_lines()
    assert list(plain.get_xdata()) == [0, 1]
    assert list(residual.get_ydata()) == pytest.approx([9, 11, 23])
    legend = [text.get_text() for text in drawing.figure.legends[0].get_texts()]
    assert legend == ["plain-20", "ResNet-20", "guessing, 90 %"]
    assert "means over draws and seeds" in drawing.caption
    assert render(drawing, "png").startswith(b"\x89PNG")


def test_it_is_in_a_report_when_asked_for_or_measured(lab):
    run = lab.finish("res")
    others = lab.grid(["res"], name="tiny2", report={"figures": ["fig7"]})
    lab.root.joinpath("tiny2").symlink_to(lab.root / "tiny")
    assert list(draw(lab, others)) == ["fig7"]
    asked = draw(lab, lab.grid(["res"], **ASKED))["lesions"]
    assert (asked.figure, "lit-resnet lesion" in asked.caption) == (None, True)
    measure(run, 8, [12, 20])
    assert list(draw(lab, others)) == ["fig7", "lesions"]
    assert "lesions" in draw(lab, lab.grid(["res"]))
    assert draw(lab, lab.grid(["res"], report={"figures": []})) == {}


def test_errors_of_earlier_weights_are_not_shown_and_those_without_weights_are(lab):
    grid, run = lab.grid(["res"], **ASKED), lab.finish("res")
    measure(run, 8, [12, 20])
    (run.checkpoints / "last.ckpt").write_bytes(b"other weights")
    assert draw(lab, grid)["lesions"].figure is None
    (run.checkpoints / "last.ckpt").unlink()
    assert draw(lab, grid)["lesions"].figure


def test_what_is_damaged_is_one_line(lab):
    grid = lab.grid(["res"], seeds=[0, 1], **ASKED)
    first, second = lab.finish("res", 0), lab.finish("res", 1)
    measure(first, 8, [12, 20])
    measure(second, 8, [12, 20, 30])
    with pytest.raises(InputError, match=r"res-seed1/lesions\.csv: damaged \(3 blocks, and 2 in that of seed 0\)"):
        draw(lab, grid)
    file = second.path / "lesions.csv"
    text = file.read_text()
    for damaged, words in (
        (text.replace("layer1.1", ""), "blocks are missing"),
        (text.replace("\n0,", "\n1,", 1).replace("1,1,kept,layer1.0", "1,4,kept,layer1.0"), "does|stands after"),
        (text.partition("\n")[0] + "\n" + text.partition("\n")[2].partition("\n")[2], "blocks are missing"),
        (text.replace(",20\n", ",120\n"), "not a row"),
        (text.replace(",kept,", ",widened,", 1), "dimensions are widened"),
    ):
        file.write_text(damaged)
        with pytest.raises(InputError, match=rf"lesions\.csv.*({words})"):
            draw(lab, grid)
