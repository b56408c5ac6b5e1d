"""Tables 7 and 8 of made-up detectors: beside the paper's numbers, on other data, and where there is no truth."""

import csv
import io
from typing import Any

import pytest
from lab import Lab

from lit_resnet import paper
from lit_resnet.grid.asked import Asked
from lit_resnet.report import runs, tables
from lit_resnet.report.tables.table import Table

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
        "VGG-16 from runs/table3/VGG-16-seed0; ResNet-101 from runs/table3/ResNet-101-seed0",
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
    assert "ResNet-18 from runs/pretrained/net-seed0, fresh weights; plain-18 from fresh weights" in made.note
    assert "Not judged so yet (–): lit-resnet evaluate " in made.note
    assert "plain-seed0 --protocol voc07" in made.note
    assert made.note.endswith("The paper has no numbers of voc:bccd.")
    first, *_ = records(made)
    assert (first["ap_RBC_mean"], first["ap_WBC_mean"]) == ("90.0", "")
    assert not any(key.startswith("paper_ap") for key in first)


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
