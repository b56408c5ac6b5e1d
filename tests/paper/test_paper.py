"""The paper's numbers, against the paper."""

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
    ],
)
def test_printed_numbers(table, net, column, value):
    assert rows(table)[net][column] == value


def test_a_number_printed_twice_is_the_same_number():
    assert rows("table3")["plain-34"]["top1"] == rows("table2")["plain-34"]["top1"]
    assert rows("table3")["ResNet-34 A"]["top1"] == rows("table2")["ResNet-34"]["top1"] == 25.03


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
    }


def test_the_gain_on_coco_is_that_of_table_8():
    vgg, ours = (rows("table8")[net]["map"] for net in ("VGG-16", "ResNet-101"))
    said = paper.load()["gain_on_coco"]
    assert (said["points"], said["percent"]) == (6.0, 28)
    assert round(ours - vgg, 1) == said["points"]
    assert paper.agreement(100 * (ours - vgg) / vgg, said["percent"]) == "rounded"


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
