"""Multiply-adds against the constants, and the two counters against each other."""

import csv
import io
from contextlib import redirect_stdout
from pathlib import Path

import pytest
import torch

from lit_resnet.cli import main
from lit_resnet.errors import InputError
from lit_resnet.nets import NetConfig, build
from lit_resnet.probes import complexity as module
from lit_resnet.probes.complexity import complexity
from lit_resnet.report.catalogue import write


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("nets")


@pytest.fixture(scope="module")
def rows(folder: Path) -> list[dict[str, str]]:
    """What `lit-resnet nets` says, which counts every net of the paper; tests/report looks at its pictures.

    By PyTorch's counter, which is quicker than fvcore; `test_the_two_counters_agree` compares them.
    """
    with redirect_stdout(io.StringIO()) as said, pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "TRACED_LAYERS", 0)
        patched.setattr("lit_resnet.report.figures.drawing.render", lambda drawing, format: b"<svg></svg>")
        assert main(["nets", "--format", "csv", "--to", str(folder)]) == 0
    return list(csv.DictReader(io.StringIO(said.getvalue())))


@pytest.fixture(scope="module")
def counted(rows: list[dict[str, str]]) -> dict[tuple, tuple[int, int]]:
    """Parameters and multiply-adds by family, depth, shortcut and stride_on."""
    keys = ("family", "depth", "shortcut", "stride_on")
    return {tuple(row[key] for key in keys): (int(row["params"]), int(row["macs"])) for row in rows}


@pytest.mark.parametrize(("depth", "millions"), [(20, 40.55), (32, 68.86), (44, 97.17), (56, 125.49), (110, 252.89)])
def test_cifar(counted, depth: int, millions: float):
    for shortcut in ("none", "A"):
        assert round(counted["cifar", str(depth), shortcut, "1x1"][1] / 1e6, 2) == millions


@pytest.mark.parametrize(
    ("depth", "shortcut", "stride_on", "billions"),
    [
        (18, "none", "1x1", 1.795),
        (18, "A", "1x1", 1.795),
        (18, "B", "1x1", 1.814),
        (18, "C", "1x1", 1.878),
        (34, "none", "1x1", 3.644),
        (34, "A", "1x1", 3.644),
        (34, "B", "1x1", 3.664),
        (34, "C", "1x1", 3.831),
        (50, "B", "1x1", 3.858),
        (50, "B", "3x3", 4.089),
        (101, "B", "1x1", 7.570),
        (101, "B", "3x3", 7.801),
        (152, "B", "1x1", 11.282),
        (152, "B", "3x3", 11.514),
    ],
)
def test_imagenet(counted, depth: int, shortcut: str, stride_on: str, billions: float):
    assert round(counted["imagenet", str(depth), shortcut, stride_on][1] / 1e9, 3) == billions


@pytest.mark.parametrize(
    ("depth", "params", "billions"),
    [(16, 138_357_544, 15.470), (19, 143_667_240, 19.632)],  # torchvision's
)
def test_vgg(counted, depth: int, params: int, billions: float):
    found = counted["vgg", str(depth), "none", "1x1"]
    assert (found[0], round(found[1] / 1e9, 3)) == (params, billions)


@pytest.mark.parametrize(
    ("config", "side"),
    [
        (NetConfig(depth=20), 32),
        (NetConfig(depth=32, shortcut="C"), 32),
        (NetConfig("imagenet", 50, "B"), 224),
        (NetConfig("imagenet", 50, "B", stride_on="3x3"), 64),
        (NetConfig("vgg", 16, "none"), 224),
    ],
)
def test_the_two_counters_agree(config: NetConfig, side: int):
    with torch.device("meta"):
        net = build(config)
    assert module._fvcore(net, (3, side, side)) == module._dispatched(net, (3, side, side))


def test_1202_layers(counted):
    # One more residual function in each stage costs the same at any depth.
    shallow = [complexity(build(NetConfig(depth=depth)), (3, 32, 32)).macs for depth in (20, 26)]
    macs = shallow[0] + (200 - 3) * (shallow[1] - shallow[0])
    assert counted["cifar", "1202", "A", "1x1"] == (19_421_274, macs)


def test_beside_the_papers_figures(rows: list[dict[str, str]], folder: Path):
    by_name = {row["net"] + " " + row["family"]: row for row in rows}
    assert {name for name, row in by_name.items() if row["agrees"] == "False"} == {"VGG-16 vgg"}
    assert {name for name, row in by_name.items() if row["cut_off"] == "True"} == {"ResNet-50 imagenet"}
    assert by_name["VGG-19 vgg"]["paper_gflops"] == "19.6"
    assert by_name["ResNet-50 imagenet"]["paper_gflops"] == "3.8"
    assert by_name["ResNet-50 v1.5 imagenet"]["paper_gflops"] == ""
    files = {path.name for path in folder.iterdir()}
    sheets = {f"blocks-{sheet}" for sheet in ("paper", "shortcuts", "orders", "bottlenecks")}
    pictures = {f"{name}.{kind}" for name in {"fig3"} | sheets for kind in ("png", "svg")}
    assert files == {"table1.md", "table1.csv", "table1.tex"} | pictures


def test_the_net_is_not_touched():
    net = build(NetConfig(depth=8)).train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    complexity(net, (3, 32, 32))
    assert net.training
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())


def test_what_is_no_folder_is_refused_in_one_line(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(InputError, match=r"notes.txt: File exists; give a folder, or a path at which to make one$"):
        write(tmp_path / "notes.txt")
    with pytest.raises(InputError, match=r"figures: Not a directory; give a folder"):
        write(tmp_path / "notes.txt" / "figures")
