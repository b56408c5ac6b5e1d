"""Nets in files to pass on, and those that come with the package."""

import json
import os
import shutil
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image

from lit_resnet import load_run
from lit_resnet.cli import main
from lit_resnet.data_sets import PUBLISHED
from lit_resnet.errors import InputError
from lit_resnet.run import models
from lit_resnet.run.config import RunCLI
from lit_resnet.run.evaluate import evaluate
from lit_resnet.run.run import train
from lit_resnet.runfolder import card, predictions, zoo
from lit_resnet.runfolder.folder import RunFolder
from lit_resnet.runfolder.started import Started
from lit_resnet.sameness import digest
from lit_resnet.training import net_file
from lit_resnet.training.start import start_weights

ROOT = Path(__file__).parents[2]
QUARTER = ROOT / "results" / "cifar10-jpeg" / "fig6-quarter"


@pytest.fixture(autouse=True)
def _one_thread(one_thread):
    """For all tests here."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run on a folder of small images."""
    place = tmp_path_factory.mktemp("run")
    for split in ("train", "test"):
        for name in ("a", "b"):
            (place / "secret" / "photos" / split / name).mkdir(parents=True)
            for i in range(3):
                pixels = np.random.default_rng(i).integers(0, 256, (8, 12, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(place / "secret" / "photos" / split / name / f"{i}.png")
    folder = RunFolder(place / "a")
    trainer = {"max_steps": 4, "val_check_interval": 4, "log_every_n_steps": 2, "accelerator": "cpu"}
    data = {"source": "folder", "root": str(place / "secret" / "photos"), "batch_size": 4}
    assert train(RunCLI({"model": {"net": {"depth": 8}}, "data": data, "trainer": trainer}), folder)
    return folder


@pytest.fixture(scope="module")
def file(run: RunFolder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    to = tmp_path_factory.mktemp("files") / "net.safetensors"
    assert main(["export", str(run.path), "--to", str(to)]) == 0
    return to


# -- a file


def test_it_is_the_run_in_one_file(run: RunFolder, file: Path, tmp_path: Path, capsys):
    one, other = load_run(run.path), load_run(file)
    images = torch.randint(0, 256, (5, *one.image_shape), dtype=torch.uint8)
    assert torch.equal(one(images), other(images))
    assert (one.images, one.summary.metrics) == (other.images, other.summary.metrics)
    assert main(["export", str(file), "--to", str(tmp_path / "again.safetensors")]) == 0
    assert (tmp_path / "again.safetensors").read_bytes() == file.read_bytes()
    capsys.readouterr()
    picture = str(next((run.path.parent / "secret" / "photos" / "test" / "a").iterdir()))
    said = []
    for net in (run.path, file):
        assert main(["predict", str(net), picture, "--format", "csv"]) == 0
        said.append(capsys.readouterr().out)
    assert said[0] == said[1] != ""


def test_its_card_is_what_the_run_says_without_its_places(run: RunFolder, file: Path):
    known = card.read(file)
    assert known.config_digest == digest(run.config())
    assert known.tested == 6
    assert known.summary.data == "folder:photos"
    assert known.summary.config["data"]["root"] == "photos"
    assert known.summary.host is None
    assert b"secret" not in file.read_bytes()
    low, high = known.interval
    assert low < known.summary.metrics["test_error"] < high


def test_it_is_judged_where_its_images_are(run: RunFolder, file: Path, tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = r"its images are not in the file \(folder:photos\); give their folder with --data"
    (tmp_path / "photos").symlink_to(run.path.parent / "secret" / "photos")  # which nobody has named
    with pytest.raises(InputError, match=words):
        models.model(file)
    root = run.path.parent / "secret" / "photos"
    (one,), (other,) = evaluate([file], ["center"], root=root), evaluate([run.path], ["center"])
    assert one["top1_error"] == other["top1_error"] == pytest.approx(run.summary().metrics["test_error"], abs=1e-3)
    judged = Path(f"{file}.evaluation")
    before = (judged / "evaluation.json").read_bytes()
    shutil.copytree(root, tmp_path / "others")
    shutil.copy(next((root / "train" / "a").iterdir()), tmp_path / "others" / "test" / "a" / "9.png")
    capsys.readouterr()
    evaluate([file], ["center"], root=tmp_path / "others")
    assert "other test images than the run's own; see " in capsys.readouterr().err
    assert (judged / "evaluation.json").read_bytes() == before
    assert len(list((judged / "elsewhere").iterdir())) == 1
    for split in ("train", "test"):
        (tmp_path / "others" / split / "a").rename(tmp_path / "others" / split / "c")
    for net in (file, run.path):
        with pytest.raises(InputError, match="class 1 of these images is b, and of the net a: give images"):
            evaluate([net], ["center"], root=tmp_path / "others")


def test_a_run_starts_from_it(run: RunFolder, file: Path):
    one, other = start_weights(str(run.path)), start_weights(str(file))
    assert one.net == other.net
    assert one.weights.keys() == other.weights.keys()
    assert all(torch.equal(one.weights[name], other.weights[name]) for name in one.weights)
    assert one.mean is not None
    assert torch.equal(one.mean, other.mean)


def test_a_damaged_file_is_told_in_one_line(file: Path, tmp_path: Path):
    """`benchmarks/fuzz.py` has hundreds more."""
    whole, wrong = file.read_bytes(), tmp_path / "net.safetensors"
    tensors, known = safetensors.torch.load(whole), json.loads(card.read(file).text())

    def refused(content: bytes) -> str:
        wrong.write_bytes(content)
        with pytest.raises(InputError) as error:
            load_run(wrong)
        assert str(error.value).startswith(str(wrong))
        return str(error.value)

    def saying(**values) -> bytes:
        return safetensors.torch.save(tensors, {card.KEY: json.dumps(known | values)})

    for content in (b"", b"x" * 100, whole[:-1], whole[:1000], struct.pack("<Q", 1 << 62)):
        assert "damaged, or no safetensors" in refused(content)
    assert "says nothing of its net" in refused(safetensors.torch.save(tensors))
    assert "summary is missing" in refused(saying(summary=None))
    assert "params is -1" in refused(saying(summary=known["summary"] | {"params": -1}))
    assert "(images)" in refused(saying(images={}))
    for wrong_images in (
        {"classes": ["a"]},
        {"classes": ["a", 3]},
        {"image_shape": [1, 8, 12]},
        {"image_shape": [3, 200_000, 200_000]},
    ):
        assert "(images)" in refused(saying(images=known["images"] | wrong_images))
    assert "cannot be used" in refused(saying(images=known["images"] | {"classes": ["a", "\ud800"]}))
    detector = {"task": "detection", "map50": 3, "map": 2, "region_error": 1}
    assert "it is of detection" in refused(saying(summary=known["summary"] | detector))
    deeper = known["summary"]["net_config"] | {"depth": 14}
    said = refused(saying(summary=known["summary"] | {"net_config": deeper}))
    assert "ResNet-8, not of ResNet-14: weight layer1.1.conv1.weight is missing there" in said
    victim = tmp_path / "victim"
    victim.touch()
    for name, args in (("evil.Net", {}), ("os.remove", {"path": str(victim)}), ("pathlib.Path", {})):
        own = known["summary"]["net_config"] | {"own": name, "own_args": args}
        assert f"needs {name}, code of your own" in refused(saying(summary=known["summary"] | {"net_config": own}))
    assert victim.exists()
    for shape in ("[0,9223372036854775808]", "[-1]", "[3,1,1,1]"):
        header = json.dumps({"__metadata__": {card.KEY: json.dumps(known)}}).encode()[:-1]
        header += b',"mean":{"dtype":"F32","shape":' + shape.encode() + b',"data_offsets":[0,0]}}'
        refused(struct.pack("<Q", len(header)) + header)
    for mean in (torch.zeros(3, 1, 1).double(), torch.zeros(1, 8, 12), torch.full((3, 1, 1), torch.nan), None):
        tensors["mean"] = torch.zeros(2) if mean is None else mean
        assert "has no mean for images of the shape [3, 8, 12]" in refused(saying())
    for path in (wrong, tmp_path / "resnet50.pth"):
        path.unlink(missing_ok=True)
        os.mkfifo(path)
        with pytest.raises(InputError, match="not weights that can be read|write the folder of a finished run"):
            load_run(path)


def test_the_card_of_a_run_names_no_places(run: RunFolder):
    config = run.config()
    config["model"]["start"] = "/home/me/secret/ResNet-8"
    config["trainer"] |= {"default_root_dir": "/secret", "logger": {"init_args": {"save_dir": "/secret"}}}
    summary = replace(run.summary(), start=Started("0" * 64, "ResNet-8", "/home/me/secret/ResNet-8"))
    known = card.placeless(summary, config)
    assert "secret" not in json.dumps(known.content())
    assert (known.start.path, known.config["model"]["start"]) == ("ResNet-8", "ResNet-8")
    assert known.config["trainer"] == {"max_steps": 4, "precision": None}


def test_two_names_of_one_tensor_are_two_in_the_file(file: Path, tmp_path: Path):
    tensor = torch.arange(4.0)
    (tmp_path / "net.safetensors").write_bytes(
        net_file.content(card.read(file), {"a": tensor, "b": tensor.view(2, 2).T}, torch.zeros(3, 1, 1))
    )
    weights = net_file.read(tmp_path / "net.safetensors").weights
    assert (weights["net.a"].tolist(), weights["net.b"].tolist()) == ([0, 1, 2, 3], [[0, 2], [1, 3]])


def test_what_has_no_numbers_is_not_passed_on(run: RunFolder, tmp_path: Path, capsys):
    summary = run.summary().content() | {"diverged": True}
    original = run.summary_file.read_text()
    try:
        run.summary_file.write_text(json.dumps(summary))
        assert main(["export", str(run.path), "--to", str(tmp_path / "net.safetensors")]) == 2
    finally:
        run.summary_file.write_text(original)
    assert "has diverged, so that its weights are no numbers" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


# -- the nets that come with the package


def embedded() -> list[torch.Tensor]:
    """100 test images of CIFAR-10 (JPEG), ten of each class: every 100th of them, in the order of the classes."""
    sheet = np.asarray(Image.open(Path(__file__).with_name("cifar10-jpeg.png")))
    tiles = sheet.reshape(10, 32, 10, 32, 3).transpose(0, 2, 4, 1, 3).reshape(100, 3, 32, 32)
    return list(torch.from_numpy(tiles.copy()))


@pytest.mark.parametrize("name", [name for name in zoo.shipped() if name.endswith("-cifar10-jpeg")])
def test_one_takes_images_for_what_its_run_took_them_for(name: str):
    net = load_run(name)
    run = QUARTER / f"{net.summary.net}-seed{net.summary.seed}"
    said = predictions.read(run, net.summary.metrics["test_error"])[::100]
    found = net.shares(embedded()).argmax(1).numpy()
    assert said[:, 0].tolist() == [i // 10 for i in range(100)]
    assert (found != said[:, 1]).sum() <= 1  # other processors round otherwise
    assert 100 * np.mean(found != said[:, 0]) < net.summary.metrics["test_error"] + 15  # 3 std of 100 images


@pytest.mark.parametrize("name", zoo.shipped())
def test_a_shipped_net_is_what_its_card_says(name: str):
    file = zoo.shipped()[name]
    known, net = card.read(file), load_run(name)
    assert name == f"{net.summary.net}-{known.summary.data.removeprefix('folder:')}"
    assert sum(weight.numel() for weight in net.net.parameters()) == known.summary.params
    assert file.stat().st_size < 4e6
    assert known.tested == PUBLISHED.get(known.summary.data, 10_000)
    assert (known.summary.git_dirty, known.summary.diverged) == (False, False)


def test_one_is_judged_on_the_digits_by_its_name(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (row,) = evaluate([Path("ResNet-20-digits")], ["center"])
    known = card.read(zoo.shipped()["ResNet-20-digits"])
    assert row["images"] == known.tested == 500
    assert row["top1_error"] == pytest.approx(known.summary.metrics["test_error"], abs=0.2)  # one image
    assert os.listdir("runs/zoo") == ["ResNet-20-digits.evaluation"]


def test_names_are_known_to_every_verb_that_takes_nets(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["zoo", "--format", "csv"]) == 0
    assert capsys.readouterr().out.count("\n") == 1 + len(zoo.shipped())
    assert main(["export", "ResNet-20-digits", "--to", "net.safetensors"]) == 0
    assert Path("net.safetensors").read_bytes() == zoo.shipped()["ResNet-20-digits"].read_bytes()
    assert str(start_weights("ResNet-20-digits").net) == "ResNet-20"
    capsys.readouterr()
    for words in (["predict", "ResNet-20-digit", "x.png"], ["evaluate", "ResNet-20-digit"]):
        assert main(words) == 2
        assert "did you mean ResNet-20-digits?" in capsys.readouterr().err
    Path("ResNet-20-digits").mkdir()  # what is there comes first
    assert main(["export", "ResNet-20-digits", "--to", "other.safetensors"]) == 2
    said = capsys.readouterr().err
    assert "ResNet-20-digits: no run here" in said
    assert "it hides the net of the model zoo of that name" in said
