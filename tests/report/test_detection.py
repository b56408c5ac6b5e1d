"""Tables and figures of made-up detectors: beside the paper's numbers, on other data, and where there is no truth."""

import csv
import io
import warnings
from typing import Any

import pytest
from lab import Lab
from PIL import Image

from lit_resnet import paper
from lit_resnet.errors import InputError
from lit_resnet.grid.asked import Asked
from lit_resnet.report import figures, runs, tables, write
from lit_resnet.report.figures.drawing import Drawing, render
from lit_resnet.report.tables.table import Table
from lit_resnet.runfolder import examples, precision
from lit_resnet.runfolder.examples import Detection, Example, Truth
from lit_resnet.runfolder.folder import RunFolder

VGG = {"family": "vgg", "depth": 16, "shortcut": "none", "start": "runs/table3/VGG-16-seed0"}
RESNET = {"depth": 101, "shortcut": "B", "start": "runs/table3/ResNet-101-seed0"}
CLASSES = paper.load()["table10"]["classes"]


def table(lab: Lab, grid: str, name: str) -> Table:
    return tables.make(runs.read(Asked(grid, root=lab.root)))[name]


def records(made: Table) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(made.csv())))


@pytest.fixture
def voc(lab: Lab) -> str:
    """The cells of Table 7, and ResNet-18 beside them; the truth of VOC 12 test is not there."""
    for seed in (0, 1):
        for name, net, map50 in (("vgg", VGG, 73.0), ("resnet", RESNET, 76.0), ("small", {}, 61.0)):
            ap = {label: map50 + i / 10 for i, label in enumerate(CLASSES)} | {
                "sofa": None if name == "small" else 70.0
            }
            judged = {"voc07": (map50 + seed, None)}
            lab.detector(f"{name}-0712", seed, data="VOC 07+12", judged=judged, ap=ap, **net)
        lab.detector("resnet-0712+", seed, data="VOC 07++12", **RESNET)
    cells = ["vgg-0712", "resnet-0712", "small-0712", "resnet-0712+"]
    return lab.detector_grid(cells, seeds=[0, 1], report={"tables": ["table7"]})


def test_table_7_has_our_numbers_beside_the_papers(lab: Lab, voc: str):
    made = table(lab, voc, "table7")
    assert made.title == "Table 7: Object detection on PASCAL VOC, Faster R-CNN"
    assert made.header == (
        "net",
        "07+12 → VOC 07 test: mAP % (11 points)",
        "paper",
        "07++12 → VOC 12 test: mAP % (area)",
        "paper",
        "n",
    )
    assert made.rows == (
        ("VGG-16", "73.50±0.71", "73.2", "–", "70.4", "2"),
        ("ResNet-101", "76.50±0.71", "76.4", "–", "73.8", "2"),
        ("ResNet-18", "61.50±0.71", "–", "–", "–", "2"),
    )
    for words in (
        "600 iterations of 2 images",
        "trained jointly, in one go (approximate joint training); the paper's in 4 steps, which alternate",
        "Start weights: VGG-16 from table3/VGG-16; ResNet-101 from table3/ResNet-101; ResNet-18 from",
        "mean of the precision at 11 recalls (PASCAL VOC 2007); area under",
        "The truth of the test images of VOC 07++12 is not public (–): lit-resnet evaluate ",
        "resnet-0712+-seed1 --submission DIR writes what its server takes",
        "±: sample standard deviation over seeds",
        "those of Faster R-CNN's own code; of each class they are in Tables 10 and 11",
    ):
        assert words in made.note
    assert r"07+12 $\to$ VOC 07 test" in made.latex()


def test_its_csv_has_each_class_beside_tables_10_and_11(lab: Lab, voc: str):
    found = {(record["net"], record["data"]): record for record in records(table(lab, voc, "table7"))}
    assert len(found) == 6
    ours = found["ResNet-101", "VOC 07+12"]
    assert (ours["map50_mean"], ours["paper_map50"], ours["n"], ours["cell"]) == ("76.5", "76.4", "2", "resnet-0712")
    assert (ours["ap_aeroplane_mean"], ours["paper_ap_aeroplane"]) == ("76.0", "79.8")
    assert (ours["ap_tvmonitor_mean"], ours["paper_ap_tvmonitor"]) == ("77.9", "72.0")
    small = found["ResNet-18", "VOC 07+12"]
    assert (small["ap_sofa_mean"], small["paper_ap_sofa"], small["paper_map50"]) == ("", "", "")
    missing = found["VGG-16", "VOC 07++12"]
    assert (missing["cell"], missing["map50_mean"], missing["paper_ap_bird"]) == ("", "", "74.3")


def test_other_data_have_the_shape_without_the_papers_numbers(lab: Lab):
    lab.detector("small", ap={"RBC": 90.0, "WBC": None}, judged={"voc07": (80.0, None)})
    lab.detector("fresh", start=None, judged={"voc07": (50.0, None)})
    lab.detector("plain", shortcut="none", start=None)
    made = table(lab, lab.detector_grid(["small", "fresh", "plain"], report={"tables": ["table7"]}), "table7")
    assert made.title == "In the shape of Table 7: object detection with Faster R-CNN on bccd, not PASCAL VOC"
    assert made.header == ("net", "voc:bccd: mAP % (11 points)", "n")
    assert made.rows == (
        ("ResNet-18 (small)", "80.00", "1"),
        ("ResNet-18 (fresh)", "50.00", "1"),
        ("plain-18", "–", "1"),
    )
    starts = (
        "ResNet-18 from pretrained/net, fresh weights (BN taken); plain-18 from fresh weights (BN taken). BN taken: its"
    )
    assert starts in made.note
    assert "Not judged so yet (–): lit-resnet evaluate " in made.note
    assert "plain-seed0 --protocol voc07" in made.note
    assert made.note.endswith("The paper has no numbers of voc:bccd.")
    first, *_ = records(made)
    assert (first["ap_RBC_mean"], first["ap_WBC_mean"]) == ("90.0", "")
    assert not any(key.startswith("paper_ap") for key in first)


def test_without_a_public_truth_there_is_a_report_all_the_same(lab: Lab):
    lab.detector("resnet", data="VOC 07++12", final=None, **RESNET)
    made = write(Asked(lab.detector_grid(["resnet"], report={"tables": ["table7"]}), root=lab.root))
    assert made.tables["table7"].rows[1] == ("ResNet-101", "–", "76.4", "–", "73.8", "1")
    assert made.table.header[:4] == ("net", "mAP@.5 %", "region error %", "n")
    assert made.table.rows[0][1] == "–"
    assert "--submission DIR" in made.page.read_text()


def coco(lab: Lab, cell: str, net: dict[str, Any], *views: str, seeds: int = 1) -> None:
    for seed in range(seeds):
        judged = {"+".join(["coco", *filter(None, [view])]): (45.0 + i, 25.0 + i) for i, view in enumerate(views)}
        lab.detector(cell, seed, data="COCO 2014", judged=judged, **net)


def test_table_8_has_the_rows_of_table_9_that_runs_were_judged_for(lab: Lab):
    coco(lab, "vgg", VGG, "")
    coco(lab, "resnet", RESNET, "", "refined", "refined+multi-scale")
    coco(lab, "again", RESNET, "")
    made = table(lab, lab.detector_grid(["vgg", "resnet", "again"], report={"tables": ["table8"]}), "table8")
    assert made.title == "Table 8: Object detection on COCO validation, Faster R-CNN"
    assert made.header == ("net", "mAP@.5 %", "paper", "mAP@[.5, .95] %", "paper", "n")
    assert made.rows == (
        ("VGG-16", "45.00", "41.5", "25.00", "21.2", "1"),
        ("ResNet-101 (resnet)", "45.00", "48.4", "25.00", "27.2", "1"),
        ("ResNet-101 (resnet) + box refinement", "46.00", "49.9", "26.00", "29.9", "1"),
        ("ResNet-101 (resnet) + box refinement + multi-scale testing", "47.00", "53.8", "27.00", "32.5", "1"),
        ("ResNet-101 (again)", "45.00", "–", "25.00", "–", "1"),
    )
    assert "The paper's multi-scale testing is of a net with global context, which is not built here" in made.note
    assert "mean of the precision at 101 recalls (COCO)" in made.note
    assert "11 recalls" not in made.note


def test_what_is_no_view_of_a_detector_makes_no_row(lab: Lab):
    """A run folder may come from strangers."""
    judged = {f"voc07{view}": (70.0, None) for view in ("", "+multi-scale", "+\x1b[31m", "+refined+refined")}
    lab.detector("one", data="VOC 07+12", judged=judged, **RESNET)
    made = table(lab, lab.detector_grid(["one"], report={"tables": ["table7"]}), "table7")
    assert [row[0] for row in made.rows if row[1] != "–"] == ["ResNet-101", "ResNet-101 + multi-scale testing"]
    assert len(made.rows) == 3


def test_table_8_of_other_data(lab: Lab):
    lab.detector("small", data="coco:free", judged={"coco": (40.0, 20.0)})
    made = table(lab, lab.detector_grid(["small"], report={"tables": ["table8"]}), "table8")
    assert made.title.endswith("on free, not COCO")
    assert made.header == ("net", "coco:free: mAP@.5 %", "coco:free: mAP@[.5, .95] %", "n")
    assert made.rows == (("ResNet-18", "40.00", "20.00", "1"),)


def test_the_table_of_all_nets_has_what_detectors_measure(lab: Lab, voc: str):
    made = table(lab, voc, "table")
    assert made.header[:6] == ("cell", "net", "mAP@.5 %", "region error %", "mAP@[.5, .95] %", "n")
    assert made.rows[0][2:5] == ("60.00±0.00", "5.00±0.00", "30.00±0.00")
    assert "paper" not in " ".join(made.header)
    assert "Region error: sampled regions" in made.note
    assert "mAP@.5: of the last model" in made.note


def jpeg(width: int, height: int) -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (width, height), (90, 120, 60)).save(content, "JPEG")
    return content.getvalue()


def keep(run: RunFolder, classes: list[str], images: list[str], score: float = 0.9) -> None:
    """Curves of some classes, and images of two sizes, with an object of each class that is found, and one more."""
    precision.keep(run.path, {name: [1 - i / 200] * 51 + [0.0] * 50 for i, name in enumerate(classes)})
    kept = []
    for i, name in enumerate(images):
        width, height = ((400, 300), (150, 300))[i % 2]
        boxes = [(label, (10.0 + j, 10.0 + j, 60.0 + j, 90.0)) for j, label in enumerate(classes)]
        found = tuple(Detection(label, box, score) for label, box in boxes)
        truth = (*(Truth(*one) for one in boxes), Truth(classes[0], (100.0, 100.0, 140.0, 140.0), ignored=True))
        kept.append(Example(name, jpeg(width, height), height, width, truth, found))
    examples.keep(run.path, kept)


def drawn(lab: Lab, cells: list[str], name: str, **content: Any) -> Drawing:
    grid = lab.detector_grid(cells, **content)
    return {one.name: one for one in figures.draw(runs.read(Asked(grid, root=lab.root)))}[name]


def titles(drawing: Drawing) -> list[str]:
    assert drawing.figure
    return [ax.get_title() for ax in drawing.figure.axes if ax.get_title()]


def words(drawing: Drawing) -> list[str]:
    assert drawing.figure
    return [text.get_text() for ax in drawing.figure.axes for text in ax.texts]


def test_precision_over_recall_has_a_panel_for_each_class(lab: Lab):
    keep(lab.detector("one", 0), ["RBC", "$WBC$"], [])
    keep(lab.detector("one", 1), ["RBC"], [])
    keep(lab.detector("two", final=(50, 20)), ["RBC", "$WBC$"], [])
    drawing = drawn(lab, ["one", "two"], "precision-recall", seeds=[0, 1])
    assert titles(drawing) == ["RBC", "$WBC$"]
    rbc, wbc = drawing.figure.axes[:2]
    assert [line.get_ydata()[0] for line in rbc.get_lines()] == [1.0, 1.0]
    assert [line.get_ydata()[0] for line in wbc.get_lines()] == [0.995, 0.995], "a mean over the seeds that have it"
    assert words(drawing)[:2] == ["50.5", "50.5"]
    assert "means over the seeds" in drawing.caption


def test_of_many_classes_there_is_the_mean_and_all_of_each_net(lab: Lab):
    for cell in ("one", "two"):
        keep(lab.detector(cell, depth=18 if cell == "one" else 34), CLASSES, [])
    drawing = drawn(lab, ["one", "two"], "precision-recall")
    assert titles(drawing) == ["mean over the classes", "ResNet-18", "ResNet-34"]
    mean, one, _ = drawing.figure.axes
    assert [round(float(line.get_ydata()[0]), 4) for line in mean.get_lines()] == [0.9525, 0.9525]
    assert [text.get_text() for text in one.get_legend().get_texts()] == [
        "aeroplane 50.5",
        "tvmonitor 45.7",
        "mean 48.1",
    ]


def test_detections_are_shown_beside_the_truth(lab: Lab):
    keep(lab.detector("one", depth=18), ["RBC", "WBC"], ["a", "b", "c"])
    keep(lab.detector("two", depth=34, final=(50, 20)), ["RBC", "WBC"], ["b", "c", "d"], score=0.45)
    drawing = drawn(lab, ["one", "two"], "detections")
    assert titles(drawing) == ["b", "c", "a", "d"], "first those that both nets have"
    assert words(drawing).count("RBC 90") == 3
    assert words(drawing).count("WBC 90") == 3
    assert not any("45" in text for text in words(drawing)), "below the score that is drawn"
    assert [text for text in words(drawing) if text in ("truth", "ResNet-18", "ResNet-34", "not kept")] == [
        *("truth", "ResNet-18", "not kept", "ResNet-34", "not kept")
    ]
    truth = drawing.figure.axes[0].patches
    assert len(truth) == 6  # a halo and the box
    assert "score of 50 % or more" in drawing.caption
    assert render(drawing, "svg") == render(drawn(lab, ["one", "two"], "detections"), "svg")


def test_classes_in_other_letters_than_the_fonts_are_drawn_without_a_warning(lab: Lab):
    keep(lab.detector("one"), ["赤血球", "WBC"], ["a"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert render(drawn(lab, ["one"], "detections"), "svg")


def test_of_many_classes_each_box_says_which(lab: Lab):
    keep(lab.detector("one"), CLASSES, ["a"])
    drawing = drawn(lab, ["one"], "detections")
    assert {"diningtable", "diningtable 90"} <= set(words(drawing))
    assert not drawing.figure.legends


def huge() -> bytes:
    """A JPEG whose head says 65,535 pixels in each direction."""
    content = jpeg(30, 30)
    size = content.index(b"\xff\xc0") + 5
    return content[:size] + b"\xff\xff\xff\xff" + content[size + 4 :]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (huge(), "Image size"),
        (b"\xff\xd8 nothing", "cannot identify"),
        (jpeg(30, 30), "30x30 pixels, and not 400x300"),
        (b"", "cannot identify"),
    ],
)
def test_a_strangers_image_is_decoded_with_care(lab: Lab, content: bytes, reason: str):
    run = lab.detector("one")
    keep(run, ["RBC"], ["a"])
    (run.path / "examples" / "1.jpg").write_bytes(content)
    with pytest.raises(InputError, match=rf"examples\.json: the image of a is damaged \({reason}.*; remove the folder"):
        drawn(lab, ["one"], "detections")


def test_other_runs_have_no_such_figures(lab: Lab):
    lab.detector("one")
    lab.finish("classified", grid="others")
    asked = {"report": {"figures": ["precision-recall", "detections"]}}
    for name in asked["report"]["figures"]:
        assert drawn(lab, ["one"], name, **asked).figure is None
    grid = lab.grid(["classified"], name="others")
    assert [one.name for one in figures.draw(runs.read(Asked(grid, root=lab.root)))] == ["curves"]


def test_they_are_on_the_page_and_w_and_b_has_them_of_each_run(lab: Lab):
    run = lab.detector("one", data="VOC 07+12", judged={"voc07": (70.0, None), "voc07+refined": (71.0, None)}, **RESNET)
    keep(run, ["RBC", "WBC"], ["a", "b"])
    made = write(Asked(lab.detector_grid(["one"]), root=lab.root))
    page = made.page.read_text()
    assert made.not_drawn == ()
    assert "Region error, mAP@.5 and mAP@[.5, .95] over the iterations" in page
    assert all(title in page for title in ("Precision over recall", "What the detectors find", "Curves of all cells"))
    assert "voc07+refined mAP@.5 %" in page
    assert 'aria-label="mAP@.5 over iterations' in page
    finished = runs.read(Asked(lab.detector_grid(["one"]), root=lab.root)).finished[0]
    assert [one.name for one in figures.of_run(finished)] == ["precision-recall", "detections"]


def test_w_and_b_has_the_papers_numbers_of_the_same_detector(lab: Lab):
    pytest.importorskip("wandb", reason="wandb is not installed")
    from lit_resnet.tracking.mirror import paper_numbers

    on_voc = lab.detector("one", data="VOC 07+12", **RESNET).summary()
    on_coco = lab.detector("two", data="COCO 2014", **VGG).summary()
    other = lab.detector("three", **RESNET).summary()
    assert on_voc
    assert on_coco
    assert other
    assert paper_numbers(on_voc) == {"voc07/map50": 76.4}
    assert paper_numbers(on_coco) == {"coco/map50": 41.5, "coco/map": 21.2}
    assert paper_numbers(other) == {}
