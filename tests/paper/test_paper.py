"""The paper's numbers, against the paper."""

from itertools import pairwise

import pytest

from lit_resnet import paper


def of(family, depth, shortcut, data=None, **net):
    return paper.of({"family": family, "depth": depth, "shortcut": shortcut, **net}, data)


def rows(table):
    return {row["net"]: row for row in paper.load()[table]["rows"]}


@pytest.mark.parametrize(
    ("table", "net", "column", "value"),
    [
        ("table1", "VGG-19", "gflops", 19.6),
        ("table2", "plain-34", "top1", 28.54),
        ("table2", "ResNet-18", "top1", 27.88),
        ("table3", "ResNet-34 C", "top5", 7.40),
        ("table3", "ResNet-152", "top1", 21.43),
        ("table3", "PReLU-net", "top1", 24.27),
        ("table4", "ResNet-152", "top5", 4.49),
        ("table4", "BN-inception", "top1", 21.99),
        ("table5", "ResNet (ILSVRC'15)", "top5", 3.57),
        ("table6", "ResNet-1202", "error", 7.93),
        ("table6", "ResNet-1202", "params", 19.4),
        ("table6", "FitNet", "error", 8.39),
        ("table7", "ResNet-101", "voc12", 73.8),
        ("table8", "ResNet-101", "map", 27.2),
        ("table9", "+ box refinement", "map", 29.9),
        ("table9", "+ context", "dev_map", 32.2),
        ("table9", "+ multi-scale testing", "map50", 53.8),
        ("table9", "ensemble", "dev_map", 37.4),
        ("table10", "baseline+++", "map50", 85.6),
        ("table11", "baseline+++", "map50", 83.8),
        ("table12", "ResNet-101", "val2", 60.5),
        ("table14", "GoogLeNet", "test", 26.7),
        ("highway-table2", "Highway C", "accuracy", 91.20),
        ("highway-table2", "Fitnet A", "accuracy", 89.01),
        ("highway-table3", "Highway", "accuracy", 67.76),
    ],
)
def test_printed_numbers(table, net, column, value):
    assert rows(table)[net][column] == value


def test_a_number_printed_twice_is_the_same_number():
    assert rows("table3")["plain-34"]["top1"] == rows("table2")["plain-34"]["top1"]
    assert rows("table3")["ResNet-34 A"]["top1"] == rows("table2")["ResNet-34"]["top1"] == 25.03
    for net in ("VGG-16", "ResNet-101"):
        assert rows("table7")[net]["voc07"] == rows("table10")[net]["map50"]
        assert rows("table7")[net]["voc12"] == rows("table11")[net]["map50"]
        assert [rows("table8")[net][key] == rows("table9")[net][key] for key in ("map50", "map")] == [True, True]
    assert paper.load()["table13"]["rows"][-1]["top5"] == rows("table14")["ResNet"]["val"] == 8.9


def test_claims():
    claims = paper.load()["claims"]
    assert claims["plain_110_error_above"]["value"] == 60
    assert claims["resnet_1202_train_error_below"]["value"] == 0.1
    of_nets = {name: entry["value"] for name, entry in paper.load()["net_claims"].items() if "value" in entry}
    assert of_nets == {
        "deeper_than_vgg": 8,
        "fraction_of_vgg": 18,
        "more_projections": 13,
        "projection_doubles_bottleneck": 2,
        "bottlenecks_for_pairs": 50,
        "cifar_layers": 6,
        "cifar_shortcuts": 3,
        "resnet_164_parameters": 1.7,
    }


def gain(table, column):
    return round(rows(table)["ResNet-101"][column] - rows(table)["VGG-16"][column], 1)


def test_the_gains_of_detectors_are_those_of_tables_7_to_9():
    claims, said = paper.load()["claims"], paper.load()["gain_on_coco"]
    assert (said["points"], said["percent"]) == (6.0, 28)
    assert gain("table8", "map") == said["points"]
    relative = 100 * gain("table8", "map") / rows("table8")["VGG-16"]["map"]
    assert paper.agreement(relative, said["percent"]) == "rounded"
    assert claims["resnet_detects_better_coco"]["value"] == said["percent"]
    assert gain("table8", "map50") == said["points_at_50"] == 6.9
    assert (gain("table7", "voc07"), gain("table7", "voc12")) == (3.2, 3.4)
    assert claims["resnet_detects_better_voc"]["value"] == 3 < gain("table7", "voc07")
    # Appendix B: about 2 points, about 1 of mAP@.5, more than 2.
    steps = [rows("table9")[net] for net in ("ResNet-101", "+ box refinement", "+ context", "+ multi-scale testing")]
    gains = [[round(after[key] - before[key], 1) for key in ("map50", "map")] for before, after in pairwise(steps)]
    assert gains == [[1.5, 2.7], [1.2, 0.1], [2.7, 2.5]]


@pytest.mark.parametrize(
    ("table", "means"),
    [("table10", [73.16, 76.44, 85.62]), ("table11", [70.40, 73.79, 83.79])],
)
def test_the_mean_over_the_classes_is_the_printed_one(table, means):
    printed = paper.load()[table]
    assert len(printed["classes"]) == 20
    assert [len(row["ap"]) for row in printed["rows"]] == [20, 20, 20]
    found = [sum(row["ap"]) / 20 for row in printed["rows"]]
    assert [round(mean, 2) for mean in found] == means
    assert [paper.agreement(mean, row["map50"]) for mean, row in zip(found, printed["rows"], strict=True)] == [
        "rounded"
    ] * 3


def test_rows_of_detectors_are_of_nets_by_what_was_trained():
    resnet = {"family": "imagenet", "depth": 101, "shortcut": "B"}
    vgg = {"family": "vgg", "depth": 16, "shortcut": "none"}
    for table in ("table7", "table8", "table10", "table11"):
        named = {name: [paper.is_row(net, table, row) for net in (vgg, resnet)] for name, row in rows(table).items()}
        assert (named["VGG-16"], named["ResNet-101"]) == ([True, False], [False, True])


def test_the_spread_of_detectors_is_of_mean_average_precision():
    (zf,) = (spread for spread in paper.spreads() if spread.metric == "map50")
    assert (zf.data, zf.mean, zf.std, zf.steps) == ("VOC 07", 59.88, 0.39, None)


@pytest.mark.parametrize(
    ("depth", "shortcut", "value"),
    [
        (18, "none", 1.8),
        (18, "A", 1.8),
        (34, "none", 3.6),
        (34, "A", 3.6),
        (50, "B", 3.8),
        (101, "B", 7.6),
        (152, "B", 11.3),
    ],
)
def test_gflops(depth, shortcut, value):
    assert of("imagenet", depth, shortcut).gflops == value


def test_gflops_only_of_the_nets_that_the_paper_has():
    assert of("imagenet", 34, "B").gflops is None
    assert of("imagenet", 50, "A").gflops is None
    assert of("imagenet", 50, "B", stride_on="3x3").gflops is None
    assert of("imagenet", 34, "A", stride_on="3x3").gflops == 3.6  # without bottlenecks it is the same net
    assert of("imagenet", 34, "A", block="single").gflops is None
    assert of("cifar", 50, "B").gflops is None


def test_params():
    assert [of("cifar", depth, "A").params for depth in (20, 32, 44, 56, 110, 1202)] == [
        0.27,
        0.46,
        0.66,
        0.85,
        1.7,
        19.4,
    ]
    assert of("cifar", 20, "B").params is None


def test_test_error():
    printed = [str(of("cifar", depth, "A", "cifar10").error) for depth in (20, 32, 44, 56, 110, 1202)]
    assert printed == ["8.75", "7.51", "7.17", "6.97", "6.43 (6.61±0.16)", "7.93"]
    assert of("cifar", 110, "A", "cifar10").error.spread == "6.61±0.16"
    assert of("cifar", 20, "A", "cifar10").error.spread is None


@pytest.mark.parametrize(
    ("data", "family", "depth", "shortcut", "block"),
    [
        ("digits", "cifar", 20, "A", "paper"),
        ("cifar100", "cifar", 20, "A", "paper"),
        ("cifar10", "cifar", 20, "none", "paper"),
        ("cifar10", "cifar", 20, "B", "paper"),
        ("cifar10", "cifar", 26, "A", "paper"),
        ("cifar10", "cifar", 20, "A", "single"),
        ("cifar10", "imagenet", 34, "A", "paper"),
        ("folder:imagenet", "imagenet", 34, "A", "paper"),  # the paper's is of ten crops
    ],
)
def test_no_test_error_for_what_the_paper_did_not_measure(data, family, depth, shortcut, block):
    assert of(family, depth, shortcut, data, block=block).error is None


@pytest.mark.parametrize(
    ("ours", "printed", "how"),
    [
        (7.570, 7.6, "rounded"),
        (3.858, 3.8, "cut off"),
        (3.858, 3.9, "rounded"),
        (18.56, 18, "cut off"),
        (1.94, 2, "rounded"),
        (4.089, 3.8, None),
        (15.47, 15.3, None),
        (3.81, 3.9, None),
        (0.2697, 0.27, "rounded"),
    ],
)
def test_agreement_at_the_printed_digits(ours, printed, how):
    assert paper.agreement(ours, printed) == how
