"""Tables 1 to 3 of the sequel, and highway nets: our medians beside the printed numbers."""

import csv
import io
import math

import pytest
from rich.console import Console

from lit_resnet import paper
from lit_resnet.grid.asked import Asked
from lit_resnet.nets.gates import GATES
from lit_resnet.report import runs
from lit_resnet.report.tables import highway, identity_mappings

PAPERS = {"depth": 110, "steps": 64_000, "log_every": 3200, "responses": False}
SHORT = {"depth": 32, "data": "folder:cifar10-jpeg", "responses": False}
BOTTLENECK = {"depth": 164, "block": "bottleneck", "shortcut": "B"}
HIGHWAY = {"block": "highway", "gate": "exclusive", "gate_value": -4, "order": "relu-before"}


@pytest.fixture
def made(lab):
    """A table of cells: by name their errors, one a seed, what they are, and what the grid says of them."""

    def make(table, cells):
        for cell, (errors, net, _) in cells.items():
            for seed, error in enumerate(errors):
                lab.finish(cell, seed, **{"net": cell, "test_error": error, **net})
        seeds = max(len(errors) for errors, _, _ in cells.values())
        grid = lab.grid({cell: said for cell, (_, _, said) in cells.items()}, seeds=list(range(seeds)))
        return table(runs.read(Asked(grid, root=lab.root)))

    return make


def rows(table):
    return {row[: table.text_columns]: row[table.text_columns :] for row in table.rows}


def test_medians_beside_medians_and_fail_above_20_percent_with_the_number_of_ours(made):
    cells = {
        "ResNet-110": ([6.9, 6.5, 6.6, 6.7, 6.4], PAPERS, {}),
        "scaled": ([90.0, 19.0, 21.0], PAPERS | {"gate": "scale"}, {}),
        "dropout": ([19.0], PAPERS | {"gate": "dropout", "gate_value": 0.5}, {}),
        "exclusive-3": ([35.0], PAPERS | {"gate": "exclusive", "gate_value": -3.0}, {}),
        "exclusive-6": ([8.8], PAPERS | {"gate": "exclusive", "gate_value": None}, {}),
        "shortcut-6": ([math.inf, 6.0, math.nan], PAPERS | {"gate": "shortcut", "diverged": True}, {}),
        "convolved": ([12.0, 13.0], PAPERS | {"shortcut": "C"}, {}),
        "scaled-0.7": ([10.0], PAPERS | {"gate": "scale", "gate_value": 0.7}, {}),
    }
    table = made(identity_mappings.table1, cells)
    assert table.title == "Table 1 of Identity Mappings in Deep Residual Networks: Test error with other shortcuts (%)"
    assert table.header == ("case", "on shortcut", "on F", "initial bias", "ResNet-110 %", "paper", "n")
    found = rows(table)
    assert len(found) == len(table.rows) == 11
    assert found["original", "1", "1", "–"] == ("6.60 (6.40–6.90)", "6.61", "5")
    assert found["constant scaling", "0.5", "1", "–"] == ("fail: 21.00 (19.00–90.00)", "fail", "3")
    assert found["dropout", "dropout 0.5", "1", "–"] == ("19.00", "fail", "1")
    assert found["exclusive gating", "1 - g", "g", "0 to -5"] == ("fail: 35.00", "fail", "1")
    assert found["exclusive gating", "1 - g", "g", "-6"] == ("8.80", "8.70", "1")
    assert found["exclusive gating", "1 - g", "g", "-7"] == ("–", "9.81", "–")
    assert found["shortcut-only gating", "1 - g", "1", "-6"] == ("fail: diverged (6.00–diverged)", "6.91", "3")
    assert found["1x1 convolution", "1x1", "1", "–"] == ("12.50 (12.00–13.00)", "12.22", "2")
    assert found["no shortcut", "0", "1", "–"] == ("–", "fail", "–")
    assert "Paper: the median of five runs, after 64,000 iterations of 128 images; fail: above 20 %" in table.note
    assert table.note.endswith("Not in that table: scaled-0.7.")
    records = {row["cell"]: row for row in csv.DictReader(io.StringIO(table.csv())) if row["cell"]}
    assert [records["ResNet-110"][f"test_error_{key}"] for key in ("median", "least", "greatest")] == [
        "6.6",
        "6.4",
        "6.9",
    ]
    assert records["ResNet-110"]["paper_test_error"] == "6.61"
    assert (records["exclusive-6"]["gate_value"], records["scaled"]["paper_test_error"]) == ("-6", "fail")
    assert records.keys() == cells.keys() - {"scaled-0.7"}


def test_gates_whose_biases_decay_and_those_whose_do_not_are_two_lines(made):
    gated = PAPERS | {"gate": "exclusive", "gate_value": -6}
    said = {"model.net.gate": "exclusive"}
    cells = {
        "ResNet-110": ([6.6], PAPERS, {"model.sgd.decay_gates": True}),
        "decayed": ([8.7], gated | {"net": "gated"}, said | {"model.sgd.decay_gates": True}),
        "spared": ([8.1], gated | {"net": "gated"}, said | {"model.sgd.decay_gates": False}),
    }
    table = made(identity_mappings.table1, cells)
    found = rows(table)
    assert found["exclusive gating (decay_gates true)", "1 - g", "g", "-6"] == ("8.70", "8.70", "1")
    assert found["exclusive gating (decay_gates false)", "1 - g", "g", "-6"] == ("8.10", "8.70", "1")
    assert found["original", "1", "1", "–"] == ("6.60", "6.61", "1")
    assert len(table.rows) == 12


def test_each_of_several_initial_biases_has_its_line(made):
    cells = {
        f"exclusive{b}": ([30.0 - b], PAPERS | {"gate": "exclusive", "gate_value": b}, {"model.net.gate_value": b})
        for b in (0, -3, -6)
    }
    found = rows(made(identity_mappings.table1, cells))
    assert found["exclusive gating (b = 0)", "1 - g", "g", "0 to -5"][0].endswith("30.00")
    assert found["exclusive gating (b = -3)", "1 - g", "g", "0 to -5"][0].endswith("33.00")
    assert found["exclusive gating", "1 - g", "g", "-6"][0].endswith("36.00")


def test_a_grid_without_these_nets_is_not_that_table(made):
    table = made(identity_mappings.table1, {"VGG-16": ([9.0], {"family": "vgg", "depth": 16}, {})})
    assert table.title.startswith("In the shape of Table 1")


@pytest.mark.parametrize("change", [{"data": "cifar100"}, {"steps": 32_000}, {"batch_size": 64}, {"depth": 56}])
def test_what_is_not_trained_as_printed_is_called_so_and_fails_nowhere(made, change):
    cells = {
        "ResNet": ([30.0], PAPERS | change, {}),
        "scaled": ([50.0], PAPERS | {"gate": "scale"} | change, {}),
    }
    table = made(identity_mappings.table1, cells)
    assert table.title.startswith("In the shape of Table 1 of Identity Mappings in Deep Residual Networks: Test error")
    assert "set the order of the nets beside that of the paper, not the errors" in table.note
    found = rows(table)["constant scaling", "0.5", "1", "–"]
    assert found == (("50.00", "fail", "1"))


def test_other_depths_have_a_column_of_their_own_without_a_printed_number(made):
    cells = {
        "ResNet-32": ([40.0, 42.0], SHORT, {}),
        "full": ([41.0, 44.0], SHORT | {"order": "full"}, {}),
        "deep": ([5.4, 5.6], PAPERS | BOTTLENECK | {"order": "full"}, {}),
    }
    table = made(identity_mappings.table2, cells)
    heads = ("ResNet-32 %", "ResNet-110, paper", "ResNet-164 bottleneck %", "paper", "n")
    assert table.header == ("order", *heads)
    assert rows(table)["original",] == ("41.00 (40.00–42.00)", "6.61", "–", "5.93", "2")
    assert rows(table)["full pre-activation",] == ("42.50 (41.00–44.00)", "6.37", "5.50 (5.40–5.60)", "5.46", "2")
    assert rows(table)["BN after addition",] == ("–", "8.17", "–", "6.50", "–")
    assert table.title.endswith(", on folder:cifar10-jpeg and cifar10")
    console = Console(width=80, file=io.StringIO())
    console.print(table.terminal())
    assert max(map(len, console.file.getvalue().splitlines())) <= 80


def test_table_3_has_a_line_for_each_data_set(made):
    pre = {"order": "full"}
    cells = {
        "a": ([6.6], PAPERS, {"data.source": "cifar10"}),
        "b": ([6.3], PAPERS | pre, {"data.source": "cifar10"}),
        "c": ([9.9], PAPERS | {"block": "single"}, {"data.source": "cifar10"}),
        "d": ([24.0], PAPERS | BOTTLENECK | pre | {"data": "cifar100"}, {"data.source": "cifar100"}),
    }
    table = made(identity_mappings.table3, cells)
    assert table.header == ("data", "net", "original %", "paper", "pre-activation %", "paper", "n")
    assert [row[:2] for row in table.rows] == [
        ("CIFAR-10", "ResNet-110, one layer a unit"),
        ("CIFAR-10", "ResNet-110"),
        ("CIFAR-10", "ResNet-164 bottleneck"),
        ("CIFAR-10", "ResNet-1001 bottleneck"),
        ("CIFAR-100", "ResNet-164 bottleneck"),
        ("CIFAR-100", "ResNet-1001 bottleneck"),
    ]
    assert rows(table)["CIFAR-10", "ResNet-110"] == ("6.60", "6.61", "6.30", "6.37", "1")
    assert rows(table)["CIFAR-10", "ResNet-1001 bottleneck"] == ("–", "7.61", "–", "4.92 (4.89±0.14)", "–")
    # The paper calls nothing a failure on CIFAR-100.
    assert rows(table)["CIFAR-100", "ResNet-164 bottleneck"] == ("–", "25.16", "24.00", "24.33", "1")
    assert table.title.startswith("Table 3 of Identity Mappings")


def test_highway_nets_stand_between_the_printed_ones_and_residual_nets(made):
    cells = {
        "ResNet-110": ([6.4, 6.5, 6.6, 6.7, 6.8], PAPERS, {}),
        "highway-110": ([9.0, 9.5], PAPERS | HIGHWAY, {}),
        "highway-20": ([8.0, 8.1], HIGHWAY | {"steps": 64_000, "log_every": 3200}, {}),
    }
    table = made(highway.highway, cells)
    assert table.rows == (
        ("Highway A", "11", "0.236M", "–", "10.82", "–"),
        ("Highway B", "19", "2.3M", "–", "7.54 (7.72±0.16)", "–"),
        ("Highway C", "32", "1.25M", "–", "8.80", "–"),
        ("highway-20", "20", "0.27M", "8.05±0.07", "–", "2"),
        ("highway-110", "110", "1.7M", "9.25±0.35", "–", "2"),
        ("ResNet-110", "110", "1.7M", "6.40 (6.60±0.16)", "6.43 (6.61±0.16)", "5"),
    )
    assert "From 5 seeds on: best (mean±std)" in table.note
    assert [record["n"] for record in table.records] == [0, 0, 0, 2, 2, 5]


def test_the_usual_numbers_of_gates_are_those_of_the_nets():
    assert paper.load()["gate_values"] == {name: gate.default for name, gate in GATES.items()}


def test_the_two_papers_print_the_same_highway_nets():
    first = [row for row in paper.load()["table6"]["rows"] if row["net"] == "Highway"]
    theirs = {
        row["layers"]: row for row in paper.load()["highway-table2"]["rows"] if row["net"] in ("Highway B", "Highway C")
    }
    for row in first:
        other = theirs[row["layers"]]
        assert round(100 - other["accuracy"], 2) == row["error"]
        assert other.get("std") == row.get("std")
        assert other["params"] == row["params"]
    assert round(100 - theirs[19]["mean"], 2) == first[0]["mean"] == 7.72
