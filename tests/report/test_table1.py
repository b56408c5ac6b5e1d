"""Table 1 from anatomies, in every format."""

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from rich.console import Console

from lit_resnet import paper
from lit_resnet.nets import NetConfig, build
from lit_resnet.probes.anatomy import Anatomy, anatomy
from lit_resnet.report.tables.table import Table
from lit_resnet.report.tables.table1 import table1


def read(depth: int, shortcut: str, without: Sequence[int] = (), **options) -> Anatomy:
    """A net for ImageNet; `without` some blocks of its third stage."""
    with torch.device("meta"):
        net = build(NetConfig("imagenet", depth, shortcut, num_classes=1000, **options))
        net.layer3 = torch.nn.Sequential(*(block for i, block in enumerate(net.layer3) if i not in without))
    return anatomy(net, (3, 224, 224))


@pytest.fixture(scope="module")
def table() -> Table:
    return table1([read(18, "A"), read(34, "A"), read(50, "B"), read(101, "B"), read(152, "B")])


def column(table: Table, head: str) -> list[str]:
    i = table.header.index(head)
    return [" ".join(row[i].split()) for row in table.rows]


def test_the_papers_architectures(table):
    assert table.header == ("layer", "output size", *(f"{depth}-layer" for depth in (18, 34, 50, 101, 152)))
    assert column(table, "layer") == [
        *("conv1", "conv2_x", "", "conv3_x", "conv4_x", "conv5_x", "", "", "GFLOPs", "paper")
    ]
    assert column(table, "output size") == ["112x112", "56x56", "", "28x28", "14x14", "7x7", "1x1", "", "", ""]
    assert column(table, "18-layer") == [
        "7x7, 64, stride 2",
        "3x3 max pool, stride 2",
        "[3x3, 64; 3x3, 64] x 2",
        "[3x3, 128; 3x3, 128] x 2",
        "[3x3, 256; 3x3, 256] x 2",
        "[3x3, 512; 3x3, 512] x 2",
        "average pool",
        "1000-d fc",
        "1.79",
        "1.8",
    ]
    assert column(table, "152-layer")[2:6] == [
        "[1x1, 64; 3x3, 64; 1x1, 256] x 3",
        "[1x1, 128; 3x3, 128; 1x1, 512] x 8",
        "[1x1, 256; 3x3, 256; 1x1, 1024] x 36",
        "[1x1, 512; 3x3, 512; 1x1, 2048] x 3",
    ]
    times = {head: [cell.rpartition(" x ")[2] for cell in column(table, head)[2:6]] for head in table.header[2:]}
    assert times["34-layer"] == times["50-layer"] == ["3", "4", "6", "3"]
    assert times["101-layer"] == ["3", "4", "23", "3"]
    assert "Stride 2 is in layer 1 of conv3_1, conv4_1, conv5_1." in table.note
    assert table.note.count("Stride") == 1


def test_gflops_beside_the_papers(table):
    ours, theirs = table.rows[-2][2:], table.rows[-1][2:]
    assert ours == ("1.79", "3.64", "3.86", "7.57", "11.28")
    assert [float(cell) for cell in theirs] == [
        paper.of({"family": "imagenet", "depth": depth, "shortcut": shortcut}).gflops
        for depth, shortcut in ((18, "A"), (34, "A"), (50, "B"), (101, "B"), (152, "B"))
    ]
    assert table.note.endswith("for one image. The paper's number of 50-layer is cut off, not rounded.")


def test_the_shipped_table_is_this_one(table):
    shipped = Path(__file__).parents[2] / "results" / "nets" / "table1.md"
    assert shipped.read_text() == table.markdown()


def test_a_wrong_net_looks_wrong():
    short = table1([read(34, "A", without=[5])])
    assert short.header[-1] == "32-layer"
    assert column(short, "32-layer")[4] == "[3x3, 256; 3x3, 256] x 5"
    assert column(short, "32-layer")[-1] == "–"  # the paper has no such net
    assert short.note.endswith("for one image.")
    moved = table1([read(50, "B", stride_on="3x3")])
    assert column(moved, "50-layer")[2] == "[1x1, 64; 3x3, 64; 1x1, 256] x 3"
    assert "Stride 2 is in layer 2 of conv3_1, conv4_1, conv5_1." in moved.note
    plain = table1([read(18, "none")])
    assert column(plain, "18-layer")[3:5] == ["3x3, 128, stride 2", "3x3, 128 x 3"]


def test_every_format_keeps_a_row_a_row(table):
    lines = [line for line in table.markdown().splitlines() if line.startswith("|")]
    assert len(lines) == 2 + len(table.rows)
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {len(table.header) + 1}
    body = table.latex().split(r"\midrule")[1].split(r"\bottomrule")[0]
    assert len(body.strip().splitlines()) == len(table.rows)
    records = list(csv.DictReader(io.StringIO(table.csv())))
    assert [record["layer"] for record in records[:3]] == ["conv1", "conv2_x", "conv2_x"]
    assert records[4]["101-layer"] == "[1x1, 256; 3x3, 256; 1x1, 1024] x 23"
    console = Console(width=90, file=io.StringIO())
    console.print(table.terminal())
    shown = console.file.getvalue()
    assert all(line in shown for line in ("[1x1, 512;", "3x3, 512;", "1x1, 2048]", "x 36"))
