"""Where nets come from: run folders of photographs and of small images, and files as torchvision publishes them."""

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
import yaml
from PIL import Image
from torchvision.io import decode_image
from torchvision.transforms._presets import ImageClassification
from torchvision.transforms.functional import normalize

from lit_resnet.data.module import ImageData
from lit_resnet.data.photographs import centre, read_photograph, resize_short_side
from lit_resnet.errors import InputError
from lit_resnet.nets import NetConfig, build
from lit_resnet.run import evaluate as verb
from lit_resnet.run import models
from lit_resnet.runfolder.folder import RunFolder
from lit_resnet.training import published

CLASSES = 6
Run = Callable[..., RunFolder]


@pytest.fixture
def digits(tmp_path: Path) -> RunFolder:
    """A run of the digits, with random weights and from before checkpoints had a mean."""
    folder = RunFolder(tmp_path / "digits")
    folder.checkpoints.mkdir(parents=True)
    torch.manual_seed(0)
    net = build(NetConfig(depth=8, in_channels=1))
    folder.config_file.write_text(yaml.safe_dump({"model": {"net": {"depth": 8}}, "data": {"source": "digits"}}))
    weights = {f"net.{name}": value for name, value in net.state_dict().items()}
    torch.save({"state_dict": weights}, folder.checkpoints / "last.ckpt")
    return folder


def test_small_images_are_seen_as_they_are(digits: RunFolder):
    (row,) = verb.evaluate([digits.path], ["center"])
    data = ImageData("digits")
    data.setup("test")
    net = models.of_run(digits).net.eval()
    with torch.no_grad():
        wrong = [net(images).argmax(1) != labels for images, labels in data.test_batches(torch.device("cpu"))]
    assert row["top1_error"] == pytest.approx(100 * torch.cat(wrong).float().mean().item(), abs=1e-3)
    assert (row["images"], digits.evaluations()["center"]["data"]) == (500, "digits")


def test_scores_are_made_anew_for_another_mean(digits: RunFolder):
    verb.evaluate([digits.path], ["center"])
    before = np.load(digits.scores / "center.npy")
    content = digits.config()
    content["data"]["val_size"] = 1200  # the mean of the few images that are left to train on
    digits.config_file.write_text(yaml.safe_dump(content))
    verb.evaluate([digits.path], ["center"])
    assert not np.array_equal(np.load(digits.scores / "center.npy"), before)


@pytest.mark.parametrize("protocol", ["ten-crop", "multi-scale"])
def test_small_images_have_no_crops_and_scales(digits: RunFolder, protocol: str):
    with pytest.raises(InputError, match=f"--protocol {protocol}: the images of digits are small .* write center"):
        verb.evaluate([digits.path], [protocol])
    assert not digits.scores.exists()


def test_an_ensemble_needs_the_same_images(digits: RunFolder, run: Run):
    with pytest.raises(InputError, match="--ensemble: these runs are not for the same test images"):
        verb.evaluate([digits.path, run().path], ["center"], ensemble=True)


def test_runs_of_different_images_are_judged_side_by_side(digits: RunFolder, run: Run):
    rows = verb.evaluate([digits.path, run().path], ["center"])
    assert [row["images"] for row in rows] == [500, 24]


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A photograph of each class that is larger than 256x256, and one to train on."""
    root = tmp_path_factory.mktemp("large")
    for i in range(CLASSES):
        coarse = np.random.default_rng(i).integers(0, 256, (30, 30, 3), dtype=np.uint8)
        for split in ("train", "val"):
            path = root / split / f"n{i}" / "0.JPEG"
            path.parent.mkdir(parents=True)
            Image.fromarray(coarse).resize([(320, 280), (280, 320)][i % 2], Image.Resampling.BICUBIC).save(path)
    return root


def test_weights_of_torchvision_give_its_own_scores(large: Path, tmp_path: Path, sure: Callable):
    torch.manual_seed(0)
    theirs = sure(torchvision.models.resnet18(num_classes=CLASSES))
    path = tmp_path / "resnet18-f37072fd.pth"
    early = {name: value for name, value in theirs.state_dict().items() if "num_batches" not in name}
    torch.save(early, path)
    (row,) = verb.evaluate([path], ["center"], root=large, workers=0)
    assert row["net"] == "ResNet-18 B"
    folder = RunFolder(f"{path}.evaluation")
    assert folder.evaluations()["center"]["images"] == CLASSES
    preset = ImageClassification(crop_size=224, resize_size=256)
    files = sorted(large.glob("val/*/*"))
    crops = [centre(resize_short_side(read_photograph(file), 256), 224) / 255 for file in files]
    ours = torch.stack([normalize(crop, preset.mean, preset.std) for crop in crops])
    with torch.no_grad():
        expected = theirs(ours).softmax(1)
    found = torch.from_numpy(np.load(folder.scores / "center.npy"))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    assert expected.std() > 0.01
    # The same pixels as theirs, but for resizing, which they do in floats and round.
    views = torch.stack([preset(decode_image(str(file))) for file in files])
    assert (views - ours).abs().max() * min(preset.std) * 255 < 1.01


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (torchvision.models.resnet34, "ResNet-34 B"),
        (torchvision.models.resnet50, "ResNet-50 v1.5"),
        (torchvision.models.resnet101, "ResNet-101 v1.5"),
        (torchvision.models.resnet152, "ResNet-152 v1.5"),
        (torchvision.models.vgg16, "VGG-16"),
        (torchvision.models.vgg19, "VGG-19"),
    ],
)
def test_nets_are_recognised_by_their_shapes(make: Callable, name: str):
    with torch.device("meta"):
        weights = make(num_classes=CLASSES).state_dict()
    assert str(published.recognised(Path("x.pth"), weights)) == name


def test_what_is_no_such_net(tmp_path: Path, large: Path):
    path = tmp_path / "x.pth"
    message = "x.pth: not a state dict of torchvision's resnet18, 34"
    with torch.device("meta"):
        others = [make() for make in (torchvision.models.resnext50_32x4d, torchvision.models.vgg16_bn)]
    for weights in (*(other.state_dict() for other in others), {}, {"fc.weight": 3}, {"fc.weight": torch.zeros(())}):
        with pytest.raises(InputError, match=message):
            published.recognised(path, weights)
    torch.save([1, 2], path)
    with pytest.raises(InputError, match="x.pth: not weights .*: write a run folder, a state dict"):
        verb.evaluate([path], ["center"], root=large)
    path.write_text("hello")
    with pytest.raises(InputError, match="x.pth: not weights that can be read"):
        verb.evaluate([path], ["center"], root=large)
    with pytest.raises(InputError, match="x.pth: .*give the folder with --data"):
        verb.evaluate([path], ["center"])
    torch.save(torchvision.models.resnet18().state_dict(), path)
    with pytest.raises(InputError, match=f"x.pth: is for 1000 classes, but {large} has {CLASSES}"):
        verb.evaluate([path], ["center"], root=large)


class Malicious:
    def __reduce__(self):
        return (open, ("ran-code", "w"))


def test_nothing_in_a_file_is_run(tmp_path: Path, run: Run, large: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "x.pth"
    path.write_bytes(pickle.dumps({"fc.weight": Malicious()}, protocol=2))
    with pytest.raises(InputError, match="not weights that can be read"):
        verb.evaluate([path], ["center"], root=large)
    folder = run()
    torch.save({"state_dict": Malicious()}, folder.checkpoints / "last.ckpt")
    with pytest.raises(InputError, match="not a checkpoint that can be read"):
        verb.evaluate([folder.path], ["center"])
    assert not Path("ran-code").exists()


def test_a_config_names_nothing_to_import(run: Run):
    folder = run()
    content = folder.config() | {"trainer": {"callbacks": [{"class_path": "no.such.module.Class"}]}}
    folder.config_file.write_text(yaml.safe_dump(content))
    assert len(verb.evaluate([folder.path], ["center"])) == 1


@pytest.mark.parametrize(
    ("checkpoint", "message"),
    [
        ({"data": {"mean": "grey"}}, "the mean in the checkpoint is not one of these images"),
        ({"data": {"mean": torch.zeros(3, 8, 8)}}, "the mean in the checkpoint is not one of these images"),
        (
            {"data": {"mean": torch.zeros(3, 1, 1, dtype=torch.int64)}},
            "the mean in the checkpoint is not one of these images",
        ),
        ({"state_dict": {}}, "the checkpoint is of ResNet-8, not of ResNet-8: weight conv1.weight is missing"),
    ],
)
def test_a_checkpoint_that_does_not_fit(run: Run, checkpoint: dict, message: str):
    folder = run()
    last = folder.checkpoints / "last.ckpt"
    torch.save(torch.load(last) | checkpoint, last)
    with pytest.raises(InputError, match=message):
        verb.evaluate([folder.path], ["center"])


def test_folders_without_a_net(run: Run, tmp_path: Path):
    with pytest.raises(InputError, match=r"no run here \(config.yaml is missing\)"):
        verb.evaluate([tmp_path], ["center"])
    folder = run()
    (folder.checkpoints / "last.ckpt").unlink()
    with pytest.raises(InputError, match="no whole checkpoint here; only trained nets can be judged"):
        verb.evaluate([folder.path], ["center"])
    folder.config_file.write_text("model: 3\n")
    with pytest.raises(InputError, match="config.yaml: not the config of a run"):
        verb.evaluate([folder.path], ["center"])
