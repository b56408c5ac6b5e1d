"""Weights that a run starts from: which are read, which are taken, and which are refused."""

import pickle
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
import torchvision
import yaml
from lab import make_summary

from lit_resnet.errors import InputError
from lit_resnet.nets import NetConfig, build
from lit_resnet.runfolder.folder import RunFolder
from lit_resnet.runfolder.start import weights_digest
from lit_resnet.runfolder.status import Status
from lit_resnet.training.start import start_weights

SMALL = NetConfig(depth=8, num_classes=6)


def finished(path: Path, config: NetConfig = SMALL, **summary) -> RunFolder:
    """A finished run with random weights."""
    folder = RunFolder(path)
    folder.checkpoints.mkdir(parents=True)
    folder.config_file.write_text(yaml.safe_dump({"model": {}, "data": {}}))
    net = {name: value for name, value in asdict(config).items() if name not in ("own", "own_args")}
    folder.write_summary(make_summary(**net | {"net": str(config), "data": "toys"} | summary))
    torch.manual_seed(1)
    weights = {f"net.{name}": value for name, value in build(config).state_dict().items()}
    mean = torch.full((3, 1, 1), 120.0)
    checkpoint = {"state_dict": weights, "net": str(config), "data": {"mean": mean}}
    torch.save(checkpoint, folder.checkpoints / "last.ckpt")
    return folder


def test_a_finished_run(tmp_path: Path):
    run = finished(tmp_path / "run")
    start = start_weights(str(run.path))
    assert (start.net, start.data, start.mean.flatten().tolist()) == (SMALL, "toys", [120.0] * 3)
    assert start.digest == weights_digest(str(run.path))
    assert asdict(start.started) == {"digest": start.digest, "net": "ResNet-8", "path": str(run.path)}
    kept = torch.load(run.checkpoints / "last.ckpt")["state_dict"]
    assert all(torch.equal(kept[f"net.{name}"], weight) for name, weight in start.weights.items())
    assert set(start.of(build(SMALL))) == set(start.weights)
    others = start.of(build(NetConfig(depth=8, num_classes=7)))
    assert set(start.weights) - set(others) == {"fc.weight", "fc.bias"}


def test_a_file_of_torchvision_gives_its_features(tmp_path: Path):
    torch.manual_seed(0)
    theirs = torchvision.models.resnet18(num_classes=3).eval()
    early = {name: value for name, value in theirs.state_dict().items() if "num_batches" not in name}
    path = tmp_path / "resnet18-f37072fd.pth"
    torch.save(early, path)
    start = start_weights(str(path))
    assert (str(start.net), start.net.num_classes, start.data, start.config) == ("ResNet-18 B", 3, "imagenet", {})
    assert start.digest == weights_digest(str(path))
    net = build(start.net).eval()
    net.load_state_dict(start.of(net))
    levels = torch.randint(0, 256, (2, 3, 64, 64)).float()
    mean, std = (torch.tensor(values)[:, None, None] for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.no_grad():
        expected, found = theirs((levels / 255 - mean) / std), net((levels - start.mean) / 255)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (NetConfig(depth=8, shortcut="none"), "has the weights of ResNet-8, not of plain-8; write a run of plain-8"),
        (NetConfig(depth=14), "has the weights of ResNet-8, not of ResNet-14; write a run of ResNet-14, or null"),
        (NetConfig("vgg", 16, "none"), "has the weights of ResNet-8, not of VGG-16; write"),
        (
            NetConfig(depth=8, in_channels=1),
            r"has the weights of ResNet-8, not of ResNet-8: weight conv1.weight is \(16, 3, 3, 3\) there",
        ),
    ],
)
def test_weights_of_another_net(tmp_path: Path, config: NetConfig, message: str):
    start = start_weights(str(finished(tmp_path / "run").path))
    with torch.device("meta"):
        net = build(config)
    with pytest.raises(InputError, match=f"model.start: .*run {message}"):
        start.of(net)


class Malicious:
    def __reduce__(self):
        return (open, ("ran-code", "w"))


def test_what_are_no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    begun = RunFolder(tmp_path / "begun")
    begun.path.mkdir()
    begun.config_file.write_text("model: {}\n")
    begun.write_status(Status(step=1500, max_steps=64000))
    gone = finished(tmp_path / "gone")
    (gone.checkpoints / "last.ckpt").unlink()
    finished(tmp_path / "diverged", diverged=True, test_error=90.0, train_error=90.0)
    other = finished(tmp_path / "other")
    other.write_summary(make_summary(net="ResNet-14", depth=14, num_classes=6))
    code = finished(tmp_path / "code")
    torch.save({"state_dict": Malicious()}, code.checkpoints / "last.ckpt")
    mean = finished(tmp_path / "mean")
    last = mean.checkpoints / "last.ckpt"
    torch.save(torch.load(last) | {"data": {"mean": torch.full((3, 1, 1), float("nan"))}}, last)
    Path("code.pth").write_bytes(pickle.dumps({"fc.weight": Malicious()}, protocol=2))
    Path("text.pth").write_text("hello")
    torch.save({"fc.weight": torch.zeros(2, 3)}, "other.pth")
    for path, message in {
        "nothing": "nothing: missing; write the folder of a finished run, a file of weights",
        "empty": r"empty: no run \(config.yaml is missing\); write the folder",
        "begun": r"begun: not finished \(iteration 1,500 of 64,000\); write the folder",
        "gone": r"gone: without its weights \(last.ckpt is missing\)",
        "diverged": "diverged: has diverged",
        "other": "other/checkpoints/last.ckpt: the checkpoint is of ResNet-8, not of ResNet-14",
        "code": "code/checkpoints/last.ckpt: not weights that can be read",
        "mean": "mean/checkpoints/last.ckpt: the mean in it is not one of images with 3 channels",
        "code.pth": "code.pth: not weights that can be read",
        "text.pth": "text.pth: not weights that can be read",
        "other.pth": "other.pth: not a state dict of torchvision's",
        "~nobody-at-all/x": "~nobody-at-all/x: missing",
    }.items():
        with pytest.raises(InputError, match=f"^model.start: {message}"):
            start_weights(path)
    assert not Path("ran-code").exists()
