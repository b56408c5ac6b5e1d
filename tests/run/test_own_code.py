"""Nets and data of a user's own, by their dotted paths, without a change of the package."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from lit_resnet import load_run
from lit_resnet.cli import main
from lit_resnet.data.module import ImageData
from lit_resnet.data.own import _pixels
from lit_resnet.errors import InputError
from lit_resnet.grid.asked import Asked
from lit_resnet.launch.plan import check, rows
from lit_resnet.nets import NetConfig, build
from lit_resnet.probes.complexity import complexity
from lit_resnet.report import write
from lit_resnet.run.config import RunCLI
from lit_resnet.run.run import responses_of, train
from lit_resnet.runfolder.records import RESPONSES

CODE = """
import torch
from torch import nn
from torch.utils.data import TensorDataset


class Small(nn.Module):
    def __init__(self, width, num_classes, in_channels):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, width, 3, padding=1)
        self.norm = nn.BatchNorm2d(width)
        self.fc = nn.Linear(width, num_classes)

    def forward(self, x):
        return self.fc(torch.relu(self.norm(self.conv(x))).mean((2, 3)))


class Named(Small):
    def layers(self):
        yield "conv", self.norm


class Indexed(Small):
    def __init__(self, num_classes, in_channels):
        super().__init__(3, num_classes, in_channels)
        self.register_buffer("order", torch.arange(num_classes).flip(0))

    def forward(self, x):
        return super().forward(x)[:, self.order]


def wrong_shape(num_classes):
    return nn.Flatten()


def no_net():
    return 3


def birds(root, train):
    if (root / "broken").exists():
        raise RuntimeError("the files are\\nbroken")
    numbers = torch.Generator().manual_seed(int(train))
    labels = torch.arange(40) % 2
    return TensorDataset((torch.rand(40, 1, 6, 6, generator=numbers) + labels[:, None, None, None]) / 2, labels)


class Uneven:
    classes = ["left", "right"]

    def __init__(self, root, train):
        pass

    def __len__(self):
        return 2

    def __getitem__(self, i):
        return torch.zeros(1, 4 + i, 4, dtype=torch.uint8), i
"""
RECIPE = {
    "data": {"pad": 1, "batch_size": 8, "source": "mycode.birds"},
    "trainer": {"max_steps": 4, "val_check_interval": 2, "log_every_n_steps": 2, "accelerator": "cpu"},
}


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch):
    """A folder with code in it, from which commands are given."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    Path("mycode.py").write_text(CODE)
    yield
    sys.modules.pop("mycode", None)


def test_a_grid_of_ones_own_nets_and_data(tmp_path: Path):
    Path("recipe.yaml").write_text(yaml.safe_dump(RECIPE))
    include = {
        "named-4": {"model.net.own": "mycode.Named", "model.net.own_args.width": 4},
        "small-3": {"model.net.own": "mycode.Small", "model.net.own_args.width": 3},
        "ResNet-8": {"model.net.depth": 8},
    }
    Path("mine.yaml").write_text(yaml.safe_dump({"base": "recipe.yaml", "include": include}, sort_keys=False))
    asked = Asked("mine.yaml")
    planned = check(asked.grid)
    assert [p.net for p in planned] == ["Named(width=4)", "Small(width=3)", "ResNet-8"]
    assert planned[0].params == 9 * 4 + 4 + 8 + 4 * 2 + 2
    for p in planned:
        assert train(RunCLI(asked.grid.config(p.cell)), asked.folder(p.cell))
    assert [row["state"] for row in rows(asked.grid, asked.root)] == ["done"] * 3
    named, small, _ = (asked.folder(p.cell) for p in planned)
    assert [row["name"] for row in RESPONSES.read(named.path)] == ["conv"]
    assert not RESPONSES.file(small.path).exists(), "it names no layers"
    report = write(asked)
    table = report.table.markdown()
    assert "Named(width=4)" in table
    assert report.page.is_file()
    net = load_run(named.path)
    assert net(torch.zeros(2, 1, 6, 6, dtype=torch.uint8)).shape == (2, 2)
    # Without being told, nothing imports what a folder names.
    del sys.modules["mycode"]
    with pytest.raises(InputError, match="needs mycode.Named, code of your own, which is not used because"):
        load_run(named.path)
    with pytest.raises(InputError, match="needs mycode.birds"):
        responses_of(str(named.path))
    assert "mycode" not in sys.modules
    importlib.import_module("mycode")  # a class of the program's is a net; what its data are made by is a function
    load_run(named.path)
    with pytest.raises(InputError, match="needs mycode.birds"):
        responses_of(str(named.path))
    del sys.modules["mycode"]
    assert main(["responses", str(named.path), "--import", "mycode"]) == 0
    assert main(["responses", str(small.path), "--import", "mycode"]) == 2


def test_data_of_torchvision_and_of_ones_own():
    data = ImageData("mycode.birds", pad=0, flip=False)
    assert (data.name, data.classes, data.image_shape) == ("birds", ("0", "1"), (1, 6, 6))
    data.setup("fit")
    assert data.train[0].dtype == torch.uint8
    assert data.train[0].max() > 200


def test_a_net_that_holds_indices_is_counted():
    config = NetConfig(own="mycode.Indexed", num_classes=4, in_channels=1)
    with torch.device("meta"):
        planned = build(config)
    torch.use_deterministic_algorithms(True)  # fills memory without values with what is no index
    try:
        assert [complexity(net, (1, 6, 6)).macs for net in (planned, build(config))] == [36 * 27 + 12] * 2
    finally:
        torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("mycode.Uneven", r"has images of \[1, 4, 4\] and of \[1, 5, 4\]: make them of one size"),
        ("mycode.none", "mycode has no none"),
        ("nocode.none", r"nocode cannot be imported \(No module named 'nocode'\): run this in the folder"),
        ("mycode.no_net", "fails: TypeError"),
    ],
)
def test_mistakes_in_data(source: str, message: str):
    with pytest.raises(InputError, match=message):
        ImageData(source).setup("fit")


@pytest.mark.parametrize(
    ("image", "what"),
    [
        (torch.tensor([[0.5, float("nan")]]), "floats beyond 0 and 1"),
        (torch.tensor([[0.5, 1.5]]), "floats beyond 0 and 1"),
        (torch.tensor([[-1, 3]]), "whole numbers beyond 0 and 255"),
        (np.array([[0, 40_000]], np.uint16), "whole numbers beyond 0 and 255"),
    ],
)
def test_pixels_that_are_no_levels(image: torch.Tensor | np.ndarray, what: str):
    with pytest.raises(InputError, match=f"data.source: mine has an image of {what}: give levels as uint8"):
        _pixels("mine", image)
    assert _pixels("mine", np.array([[0, 255]], np.uint16)).tolist() == [[[0, 255]]]


def test_data_that_are_not_there():
    Path("data").mkdir()
    Path("data/broken").touch()
    with pytest.raises(InputError, match="train=True.* fails: RuntimeError: the files are broken"):
        ImageData("mycode.birds")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"own": "mycode.Small"}, "mycode.Small cannot be made: .*width"),
        ({"own": "mycode.no_net"}, "mycode.no_net is no torch module"),
        ({"own": "mycode.nothing"}, "mycode has no nothing"),
        ({"own": "mycode.wrong_shape"}, r"returns \[2, 48\] for 2 images: \[2, 10\]"),
    ],
)
def test_mistakes_in_nets(config: dict, message: str):
    with pytest.raises(InputError, match=message):
        build(NetConfig(**config))(torch.zeros(2, 3, 4, 4))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"own": "Small"}, "own is Small: write the dotted path of a class"),
        ({"own": "os;x"}, "write the dotted path"),
        ({"family": "own"}, "own is missing"),
        ({"own_args": {"width": 3}}, "own is missing"),
    ],
)
def test_what_names_no_net(config: dict, message: str):
    with pytest.raises(ValueError, match=message):
        NetConfig(**config)


def test_what_only_nets_of_the_paper_can():
    model = {"net": {"own": "mycode.Small", "own_args": {"width": 3}}}
    with pytest.raises(InputError, match="model.speed.recompute: is for residual functions of the paper"):
        RunCLI({**RECIPE, "model": model | {"speed": {"recompute": True}}}).check()
    with pytest.raises(ValueError, match="signals_every is 2: this net does not name its layers; leave it out"):
        RunCLI({**RECIPE, "model": model | {"signals_every": 2}}).module()
