"""Tables 2 to 5: our errors in their place, beside the paper's, and what is said where they cannot be compared."""

import csv
import io

import pytest

from lit_resnet.errors import InputError
from lit_resnet.grid.asked import Asked
from lit_resnet.report import runs, tables

NETS = {
    "plain-18": {"depth": 18, "shortcut": "none"},
    "plain-34": {"depth": 34, "shortcut": "none"},
    "ResNet-18": {"depth": 18},
    "ResNet-34": {"depth": 34},
}


def table(lab, name, cells, seeds=(0,), **report):
    grid = lab.grid(list(cells), seeds=list(seeds), report={"tables": [name], **report})
    return tables.make(runs.read(Asked(grid, root=lab.root)))[name]


def row(made, net):
    """The table's row of that net, under its heads."""
    return dict(zip(made.header, next(line for line in made.rows if line[0] == net), strict=True))


@pytest.fixture
def four(lab):
    """Three seeds of Table 2's nets."""
    for seed in range(3):
        for i, (cell, net) in enumerate(NETS.items()):
            lab.photographs(cell, seed, ten_crop=(28.0 - i + seed / 10, 9.5 - i + seed / 10), **net)
    return lab


def test_table_2_has_the_papers_shape(four):
    made = table(four, "table2", NETS, range(3))
    assert made.header == ("", "plain", "plain, paper", "ResNet", "ResNet, paper")
    assert made.rows == (
        ("18 layers", "28.10±0.10", "27.94", "26.10±0.10", "27.88"),
        ("34 layers", "27.10±0.10", "28.54", "25.10±0.10", "25.03"),
    )
    assert made.title == "Table 2: Top-1 error (%), 10-crop, on ImageNet"
    for words in ("n = 3 seeds a net", "ten crops", "±: sample standard deviation", "600,000 iterations of 256 images"):
        assert words in made.note
    assert "evaluate" not in made.note


def test_raw_values(four):
    rows = list(csv.DictReader(io.StringIO(table(four, "table2", NETS, range(3)).csv())))
    assert [row["net"] for row in rows] == ["plain-18", "plain-34", "ResNet-18", "ResNet-34"]
    assert [row["cell"] for row in rows] == list(NETS)
    plain = rows[1]
    assert (plain["protocol"], plain["data"], plain["n"], plain["paper_top1_error"]) == (
        *("ten-crop", "imagenet", "3", "28.54"),
    )
    assert float(plain["top1_error_mean"]) == pytest.approx(27.1)
    assert float(plain["top1_error_std"]) == pytest.approx(0.1)
    assert float(plain["top5_error_mean"]) == pytest.approx(8.6)


def test_another_data_set_is_not_set_beside_imagenet_as_if_it_were(lab):
    for cell, net in NETS.items():
        lab.photographs(cell, data="folder:imagenette-128", ten_crop=(15.0, 2.0), **net)
    made = table(lab, "table2", NETS)
    assert made.title == "In the shape of Table 2: Top-1 error (%), 10-crop, on folder:imagenette-128"
    assert made.header == ("", "plain", "plain, paper (ImageNet)", "ResNet", "ResNet, paper (ImageNet)")
    assert made.rows[0] == ("18 layers", "15.00", "27.94", "15.00", "27.88")
    assert "The paper's numbers are of ImageNet" in made.note
    assert "600,000" not in made.note


def test_a_run_that_was_not_judged_is_a_dash_and_a_command(four):
    four.run("plain-34", 1).evaluation_file.unlink()
    four.judge(four.run("plain-34", 2), data="folder:other", **{"ten-crop": (1.0, 1.0)})
    made = table(four, "table2", NETS, range(3))
    assert made.rows[1] == ("34 layers", "–", "28.54", "25.10±0.10", "25.03")
    folders = " ".join(str(four.run("plain-34", seed).path) for seed in (1, 2))
    assert f"Not judged so yet (–): lit-resnet evaluate {folders} --protocol ten-crop." in made.note


def test_table_3_row_by_row(lab):
    lab.photographs("vgg", depth=16, shortcut="none", family="vgg", net="VGG-16", ten_crop=(28.5, 9.6))
    lab.photographs("plain", depth=34, shortcut="none", ten_crop=(28.6, 10.1))
    for option, top1 in zip("ABC", (25.1, 24.6, 24.2), strict=True):
        lab.photographs(option, depth=34, shortcut=option, ten_crop=(top1, 7.5))
    lab.photographs("deep", depth=152, shortcut="B", ten_crop=(21.5, 5.75))
    made = table(lab, "table3", ["vgg", "plain", "A", "B", "C", "deep"])
    assert [line[0] for line in made.rows] == [
        *("VGG-16", "GoogLeNet", "PReLU-net", "plain-34", "ResNet-34 A", "ResNet-34 B", "ResNet-34 C"),
        *("ResNet-50", "ResNet-101", "ResNet-152"),
    ]
    assert made.header == ("net", "top-1 error %", "top-1, paper", "top-5 error %", "top-5, paper", "n")
    lines = {net: tuple(numbers) for net, *numbers in made.rows}
    assert lines["VGG-16"] == ("28.50", "28.07", "9.60", "9.33", "1")
    assert lines["GoogLeNet"] == ("–", "–", "–", "9.15", "–")
    assert lines["plain-34"] == ("28.60", "28.54", "10.10", "10.02", "1")
    assert [lines[f"ResNet-34 {option}"][0] for option in "ABC"] == ["25.10", "24.60", "24.20"]
    assert lines["ResNet-34 C"][3] == "7.40"
    assert lines["ResNet-50"] == ("–", "22.85", "–", "6.71", "–")
    assert lines["ResNet-152"] == ("21.50", "21.43", "5.75", "5.71", "1")


def test_only_the_papers_nets_stand_in_its_rows(lab):
    others = {
        "plain": {"depth": 50, "shortcut": "none"},
        "A": {"depth": 50, "shortcut": "A"},
        "v1.5": {"depth": 50, "shortcut": "B", "stride_on": "3x3"},
        "single": {"depth": 34, "block": "single"},
        "cifar": {"depth": 34, "family": "cifar"},
        "VGG-19": {"depth": 16, "family": "vgg"},  # whatever it is, it has shortcuts
    }
    for cell, net in others.items():
        lab.photographs(cell, ten_crop=(20.0, 5.0), **net)
    assert {line[1] for line in table(lab, "table3", others).rows} == {"–"}
    lab.photographs("other", depth=34, stride_on="3x3", ten_crop=(20.0, 5.0))  # without bottlenecks the same net
    assert row(table(lab, "table3", [*others, "other"]), "ResNet-34 A")["top-1 error %"] == "20.00"


def test_of_several_cells_of_a_net_the_first_is_shown_and_the_others_named(lab):
    for cell, error in (("usual", 25.0), ("slow", 26.0)):
        lab.photographs(cell, depth=34, ten_crop=(error, 7.0))
    made = table(lab, "table3", ["usual", "slow"])
    assert row(made, "ResNet-34 A")["top-1 error %"] == "25.00"
    assert "the grid has these nets twice: slow." in made.note


def test_table_4_is_of_many_scales(lab):
    lab.photographs("ResNet-50", depth=50, shortcut="B", ten_crop=(22.9, 6.7), multi_scale=(20.8, 5.3))
    made = table(lab, "table4", ["ResNet-50"])
    assert list(row(made, "ResNet-50").values())[1:] == ["20.80", "20.74", "5.30", "5.25", "1"]
    assert list(row(made, "VGG (v5)").values())[1:] == ["–", "24.4", "–", "7.1", "–"]  # so many digits does it give
    assert row(made, "VGG (ILSVRC'14)")["top-5, paper"] == "8.43†"
    assert "†: on the test set" in made.note
    assert r"8.43\dag{}" in made.latex()
    assert made.title == "Table 4: Error of single models (%), multi-scale dense, on ImageNet"


def test_fewer_than_five_classes_have_no_top_5(lab):
    lab.photographs("A", depth=34, data="folder:cats", ten_crop=(12.0, None))
    made = table(lab, "table3", ["A"])
    assert list(row(made, "ResNet-34 A").values())[1:4:2] == ["12.00", "–"]
    assert "evaluate" not in made.note


ENSEMBLES = {
    "six": {"cells": ["B", "deep"], "protocol": "multi-scale"},
    "small": {"cells": ["B"], "protocol": "ten-crop"},
}


@pytest.fixture
def judged(lab):
    """Two cells of two seeds, and the ensemble of all."""
    for seed in (0, 1):
        lab.photographs("B", seed, depth=34, shortcut="B")
        lab.photographs("deep", seed, depth=152, shortcut="B")
    lab.ensemble("six", ["B-seed0", "B-seed1", "deep-seed0", "deep-seed1"])
    return lab


def test_table_5_sets_the_first_ensemble_beside_the_papers_own(judged):
    made = table(judged, "table5", ["B", "deep"], (0, 1), ensembles=ENSEMBLES)
    assert made.header == ("", "models", "top-5 error %", "top-5, paper, test set")
    assert made.rows[0] == ("VGG (ILSVRC'14)", "–", "–", "7.32")
    assert made.rows[-2:] == (("ResNet (ILSVRC'15)", "4", "4.31", "3.57"), ("small", "–", "–", "–"))
    assert len(made.rows) == 7
    for words in (
        "six: scores averaged over",
        "over B-seed0, B-seed1, deep-seed0, deep-seed1",
        "labels are not public",
    ):
        assert words in made.note
    assert "Not judged yet (–): small; lit-resnet launch" in made.note
    records = made.records[-2:]
    assert [(r["ensemble"], r["models"], r["top1_error"], r["paper_top5_error"]) for r in records] == [
        ("six", 4, 19.2, 3.57),
        ("small", None, None, None),
    ]


@pytest.mark.parametrize("stale", [{"runs": ["B-seed0"]}, {"protocol": "ten-crop"}])
def test_an_ensemble_of_what_the_grid_no_longer_says_does_not_count(judged, stale):
    judged.ensemble("six", **{"runs": ["B-seed0", "B-seed1", "deep-seed0", "deep-seed1"], **stale})
    made = table(judged, "table5", ["B", "deep"], (0, 1), ensembles=ENSEMBLES)
    assert row(made, "ResNet (ILSVRC'15)")["top-5 error %"] == "–"
    assert "Not judged yet (–): six, small" in made.note


@pytest.mark.parametrize("content", ["{", "[]", '{"runs": [], "images": 3, "top1_error": "<b>"}'])
def test_a_damaged_ensemble_is_named(judged, content):
    judged.ensemble("six", []).write_text(content)
    with pytest.raises(InputError, match=r"ensembles/six\.json: damaged") as caught:
        table(judged, "table5", ["B", "deep"], (0, 1), ensembles=ENSEMBLES)
    assert "\n" not in str(caught.value)


def test_a_damaged_evaluation_is_named(four):
    four.run("plain-34", 1).evaluation_file.write_text('{"ten-crop": {"top1_error": 3}}')
    with pytest.raises(InputError, match=r"plain-34-seed1/evaluation\.json: damaged"):
        table(four, "table2", NETS, range(3))


def test_tables_come_in_the_order_of_the_grid(four):
    grid = four.grid(list(NETS), seeds=[0], report={"tables": ["table4", "table2"]})
    assert list(tables.make(runs.read(Asked(grid, root=four.root)))) == ["table4", "table2", "table"]
    grid = four.grid(list(NETS), seeds=[0])
    assert list(tables.make(runs.read(Asked(grid, root=four.root)))) == ["table"]
