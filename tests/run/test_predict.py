"""Trained nets to use: what they see in pictures of any kind, and as files for other programs."""

import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lit_resnet import load_run
from lit_resnet.cli import main
from lit_resnet.data.picture import read_picture
from lit_resnet.errors import InputError
from lit_resnet.evaluation.judge import judge
from lit_resnet.run import export, models
from lit_resnet.run.config import RunCLI
from lit_resnet.run.run import train
from lit_resnet.runfolder.card import KEY
from lit_resnet.runfolder.folder import RunFolder
from lit_resnet.runfolder.status import Status

TRAINER = {"max_steps": 4, "val_check_interval": 4, "log_every_n_steps": 2, "accelerator": "cpu"}
DIGITS = {"source": "digits", "pad": 1, "flip": False, "batch_size": 16}


@pytest.fixture(autouse=True)
def _one_thread(one_thread):
    """For all tests here."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., RunFolder]:
    """Trains a ResNet-8 for a moment."""

    def make(**data) -> RunFolder:
        folder = RunFolder(tmp_path_factory.mktemp("run") / "a")
        assert train(RunCLI({"model": {"net": {"depth": 8}}, "data": data, "trainer": TRAINER}), folder)
        return folder

    return make


@pytest.fixture(scope="module")
def digits(made) -> RunFolder:
    return made(**DIGITS)


@pytest.fixture(scope="module")
def photo_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("photographs")
    noise = np.random.default_rng(0)
    for split in ("train", "val"):
        for name in ("cat", "dog"):
            (root / split / name).mkdir(parents=True)
            for i in range(4):
                pixels = noise.integers(0, 256, (7, 6, 3), dtype=np.uint8)
                image = Image.fromarray(pixels).resize((30 + 9 * i, 40), Image.Resampling.BICUBIC)
                image.save(root / split / name / f"{i}.JPEG", quality=90)
    return root


@pytest.fixture(scope="module")
def photographs(made, photo_root: Path) -> RunFolder:
    sizes = {"short_side": [20, 24], "crop": 16, "test_short_side": 20, "workers": 0}
    return made(source="imagenet", root=str(photo_root), batch_size=4, photographs=sizes)


@pytest.fixture(scope="module")
def small(made, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """Of a folder of small images that are not square."""
    root = tmp_path_factory.mktemp("small")
    for split in ("train", "test"):
        for name in ("a", "b"):
            (root / split / name).mkdir(parents=True)
            for i in range(3):
                pixels = np.random.default_rng(i).integers(0, 256, (8, 12, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(root / split / name / f"{i}.png")
    return made(source="folder", root=str(root), batch_size=4)


def scores_of(run: RunFolder) -> np.ndarray:
    """The shares by which `lit-resnet evaluate` judges the run."""
    judge([models.of_run(run)], ["center"], torch.device("cpu"))
    return np.load(run.scores / "center.npy")


# -- the numbers


def test_of_a_test_image_it_says_what_evaluation_says(digits: RunFolder, photographs: RunFolder, small, tmp_path: Path):
    for run in (photographs, small):
        net, data = load_run(run.path), RunCLI({"data": run.config()["data"]}).data()
        folder = data.settings.root / ("val" if data.data_set.cropped else "test")
        files = sorted(folder.glob("*/*"))
        found = net.shares([net.read(file) for file in files])
        assert np.allclose(found.numpy(), scores_of(run), atol=1e-6)
    images = models.of_run(digits).images.portions([None], 0, 0)
    image = next(images)[3][None]
    Image.fromarray(image[0].numpy()).save(tmp_path / "digit.png")
    net = load_run(digits.path)
    assert torch.equal(net.read(tmp_path / "digit.png"), image)
    shares = scores_of(digits)[3]
    ranked = net.predict(tmp_path / "digit.png")
    assert [share for _, share in ranked] == pytest.approx(sorted(shares, reverse=True), abs=1e-6)
    assert ranked[0][0] == str(shares.argmax())


def test_the_middle_of_a_picture_of_any_size(digits: RunFolder, small: RunFolder, photographs: RunFolder, tmp_path):
    sizes = [(16, 8), (8, 16), (1, 1), (3, 500), (640, 480)]
    for run in (digits, small, photographs):
        net = load_run(run.path)
        for size in sizes:
            Image.new("RGB", size, "red").save(tmp_path / "red.png")
            seen = net.read(tmp_path / "red.png")
            assert tuple(seen.shape) == net.image_shape
            assert seen.unique().tolist() == ([76] if net.image_shape[0] == 1 else [0, 255])
    half = np.zeros((8, 24), np.uint8)
    half[:, 8:16] = 255
    Image.fromarray(half).save(tmp_path / "half.png")
    assert load_run(digits.path).read(tmp_path / "half.png").unique().tolist() == [255]


# -- pictures of all kinds


def seen(path: Path, image: Image.Image, channels: int = 3, **options) -> np.ndarray:
    image.save(path, **options)
    return read_picture(path, channels).permute(1, 2, 0).numpy()


def test_what_a_viewer_shows_is_what_a_net_sees(tmp_path: Path):
    colours = np.random.default_rng(0).integers(0, 256, (6, 4, 3), dtype=np.uint8)
    image = Image.fromarray(colours)
    grey = np.asarray(image.convert("L"))
    assert np.array_equal(seen(tmp_path / "a.png", image), colours)
    assert np.array_equal(seen(tmp_path / "a.bmp", image), colours)
    assert np.array_equal(seen(tmp_path / "a.tif", image, channels=1)[:, :, 0], grey)
    assert np.array_equal(seen(tmp_path / "g.png", image.convert("L"), channels=1)[:, :, 0], grey)
    assert np.array_equal(seen(tmp_path / "g3.png", image.convert("L"))[:, :, 2], grey)
    palette = image.convert("P", palette=Image.Palette.ADAPTIVE)
    assert np.array_equal(seen(tmp_path / "p.png", palette), np.asarray(palette.convert("RGB")))
    animated = seen(tmp_path / "moving.gif", palette, save_all=True, append_images=[palette.rotate(180)])
    assert animated.shape == (6, 4, 3), "the first of two frames"
    assert seen(tmp_path / "bits.png", image.convert("1"), channels=1).max() == 255
    deep = Image.fromarray((np.asarray(grey, np.uint16) << 8) + 7)
    assert np.array_equal(seen(tmp_path / "deep.png", deep, channels=1)[:, :, 0], grey), "16 bits"
    clear = Image.new("RGBA", (4, 4), (9, 9, 9, 0))
    for mode in ("RGBA", "LA", "P"):
        assert seen(tmp_path / f"clear-{mode}.png", clear.convert(mode)).min() == 255, "on white"


def test_jpegs_are_turned_and_of_any_colours(tmp_path: Path):
    blue = Image.new("RGB", (32, 16), "blue")
    blue.paste("red", (0, 0, 16, 16))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn it by 90 degrees clockwise to see it upright
    for suffix in ("jpg", "png"):
        turned = seen(tmp_path / f"turned.{suffix}", blue, exif=exif)
        assert turned.shape == (32, 16, 3)
        assert turned[4, 8, 0] > 200, "red is above"
        assert turned[28, 8, 2] > 200
    assert seen(tmp_path / "cmyk.jpg", blue.convert("CMYK")).shape == (16, 32, 3)
    assert seen(tmp_path / "cmyk.jpg", blue.convert("CMYK"))[8, 4, 0] > 200
    assert seen(tmp_path / "grey.jpg", blue.convert("L"), channels=1).shape == (16, 32, 1)


def bomb(path: Path, width: int, height: int) -> None:
    """A PNG that says it is huge."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b""))


def test_what_is_no_picture_is_one_line(digits: RunFolder, tmp_path: Path, capsys):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    for name in ("cut.png", "cut.jpg", "cut.webp"):
        noise.save(tmp_path / name)
        (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:900])
    (tmp_path / "text.jpg").write_text("no picture")
    (tmp_path / "empty.png").touch()
    bomb(tmp_path / "bomb.png", 100_000, 100_000)
    Image.fromarray(np.ones((4, 4), np.float32)).save(tmp_path / "floats.tif")
    Image.new("L", (1, 20_000_000)).save(tmp_path / "long.png")
    (tmp_path / "folder").mkdir()
    words = {
        "cut.png": "not an image, or a damaged one",
        "cut.jpg": "not an image, or a damaged one",
        "cut.webp": "not an image, or a damaged one",
        "text.jpg": "not an image, or a damaged one",
        "empty.png": "not an image, or a damaged one",
        "bomb.png": "has more than 134,217,728 pixels: make it smaller",
        "floats.tif": "has 32 bits a channel",
        "long.png": "is 1x20000000, too long and narrow to be resized: cut it",
        "folder": "is a folder: write the files in it",
        "missing.png": "no such file",
    }
    for name, wanted in words.items():
        assert main(["predict", str(digits.path), str(tmp_path / name)]) == 2
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1)
        assert err.startswith(f"lit-resnet: {tmp_path / name}: {wanted}")
    with pytest.raises(InputError, match="takes images of 2 channels"):
        read_picture(tmp_path / "cut.png", 2)


# -- the verb predict


def test_predict_prints_and_draws(digits: RunFolder, photographs: RunFolder, tmp_path: Path, capsys):
    files = [tmp_path / "a $x$ & <b>.png", tmp_path / "b.jpg"]
    for file, colour in zip(files, ("white", "black"), strict=True):
        Image.new("RGB", (20, 30), colour).save(file)
    words = ["predict", str(digits.path), *map(str, files)]
    assert main([*words, "--format", "json", "--picture", str(tmp_path / "seen.png")]) == 0
    out, err = capsys.readouterr()
    rows = json.loads(out)
    assert [(row["image"], row["rank"]) for row in rows] == [(str(file), i) for file in files for i in range(1, 6)]
    assert [(row["class"], row["share"]) for row in rows[:5]] == [
        (name, round(share, 6)) for name, share in load_run(digits.path).predict(files[0])[:5]
    ]
    assert f"drawn: {tmp_path / 'seen.png'}" in err
    with Image.open(tmp_path / "seen.png") as drawn:
        assert drawn.width > 1000
        assert len(set(drawn.convert("L").tobytes())) > 20
    assert main(["predict", str(photographs.path), str(files[0]), "--picture", str(tmp_path / "seen.svg")]) == 0
    table = capsys.readouterr().out
    assert "ResNet-8, trained on folder:photographs" in table
    assert [name for name in ("cat", "dog") if name in table] == ["cat", "dog"], "all of the two classes"
    assert "a $x$ &amp; &lt;b&gt;.png" in (tmp_path / "seen.svg").read_text()
    for wrong, why in (("seen.docx", "ends in .png, .svg, .pdf"), ("b.jpg", "ends in"), ("no/seen.png", "folder that")):
        assert main([*words, "--picture", str(tmp_path / wrong)]) == 2
        assert why in capsys.readouterr().err
    assert main([*words, "--picture", str(files[0])]) == 2
    assert "is one of the images" in capsys.readouterr().err


def test_a_folder_that_gives_no_net_is_one_line(digits: RunFolder, tmp_path: Path, capsys):
    copy = RunFolder(tmp_path / "copy")
    copy.checkpoints.mkdir(parents=True)
    Image.new("L", (8, 8)).save(tmp_path / "a.png")

    def refused() -> str:
        assert main(["predict", str(copy.path), str(tmp_path / "a.png")]) == 2
        error = capsys.readouterr().err
        assert main(["export", str(copy.path), "--to", str(tmp_path / "net.pt2")]) == 2
        assert capsys.readouterr().err == error
        assert not (tmp_path / "net.pt2").exists()
        assert error.count("\n") == 1
        return error

    assert "no run here; write the folder of a finished run" in refused()
    copy.config_file.write_text(digits.config_file.read_text())
    copy.write_status(Status(state="running", step=1200, max_steps=64_000))
    assert "not finished (iteration 1,200 of 64,000)" in refused()
    copy.write_summary(digits.summary())
    assert "no whole checkpoint here" in refused()
    checkpoint = torch.load(digits.checkpoints / "last.ckpt", weights_only=True)
    torch.save(checkpoint | {"net": "ResNet-20", "state_dict": {}}, copy.checkpoints / "last.ckpt")
    assert "the checkpoint is of ResNet-20" in refused()
    kept = {key: value for key, value in checkpoint["data"].items() if key != "short_side"}
    torch.save(checkpoint | {"data": kept}, copy.checkpoints / "last.ckpt")
    assert "last.ckpt: does not say what images it is for" in refused()


# -- the verb export


def test_an_exported_net_gives_the_same_shares(digits: RunFolder, photographs: RunFolder, tmp_path: Path, capsys):
    for run, shape in ((digits, "[N, 1, 8, 8]"), (photographs, "[N, 3, 16, 16]")):
        trained, file = load_run(run.path), tmp_path / f"{shape}.pt2"
        assert main(["export", str(run.path), "--to", str(file)]) == 0
        assert f"ResNet-8, for images {shape} of {len(trained.classes)} classes" in capsys.readouterr().err
        facts = {KEY: ""}
        net = torch.export.load(file, extra_files=facts).module()
        for n in (1, 5):
            images = torch.randint(0, 256, (n, *trained.image_shape), dtype=torch.uint8)
            with torch.no_grad():
                assert torch.allclose(net(images), trained.shares(list(images)), atol=1e-6)
        assert json.loads(facts[KEY]) == export.facts(trained)
        assert json.loads(facts[KEY])["classes"] == list(trained.classes)


def test_a_file_is_not_overwritten_by_mistake(digits: RunFolder, tmp_path: Path, capsys):
    words = ["export", str(digits.path), "--to"]
    file = tmp_path / "net.pt2"
    file.write_text("precious")
    assert main([*words, str(file)]) == 2
    assert "is there already; write another name, or --force to replace it" in capsys.readouterr().err
    assert file.read_text() == "precious"
    assert main([*words, str(file), "--force"]) == 0
    assert torch.export.load(file)
    capsys.readouterr()
    for wrong, why in (
        ("net.pt", "ends in one of .pt2, .onnx, .safetensors; did you mean .pt2?"),
        ("no/net.pt2", "there is no folder"),
    ):
        assert main([*words, str(tmp_path / wrong)]) == 2
        assert why in capsys.readouterr().err


def test_onnx_says_what_it_needs(digits: RunFolder, tmp_path: Path, monkeypatch, capsys):
    monkeypatch.setattr(export, "find_spec", lambda name: None)
    assert main(["export", str(digits.path), "--to", str(tmp_path / "net.onnx")]) == 2
    assert "needs the package onnx: pip install 'lit-resnet[onnx]', or uv sync --extra onnx" in capsys.readouterr().err


def test_onnx_gives_the_same_shares(digits: RunFolder, tmp_path: Path):
    onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")
    pytest.importorskip("onnxscript", reason="the extra onnx is not installed")
    from onnx.reference import ReferenceEvaluator

    file, trained = tmp_path / "net.onnx", load_run(digits.path)
    assert main(["export", str(digits.path), "--to", str(file)]) == 0
    model = onnx.load(file)
    assert json.loads({prop.key: prop.value for prop in model.metadata_props}[KEY]) == export.facts(trained)
    for n in (1, 5):
        images = torch.randint(0, 256, (n, 1, 8, 8), dtype=torch.uint8)
        (shares,) = ReferenceEvaluator(model).run(None, {"images": images.numpy()})
        assert np.allclose(shares, trained.shares(list(images)), atol=1e-5)
