"""Runs of detection from their config to what is judged of them."""

import json
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from clocks import Killed, Saves
from filelock import FileLock
from PIL import Image
from scenes import write_coco, write_image, write_voc
from together import train_together

from lit_resnet import task
from lit_resnet.cli import main
from lit_resnet.data.boxes import Annotated, Annotations, Found
from lit_resnet.errors import InputError
from lit_resnet.nets import NetConfig
from lit_resnet.nets.detector import Detector
from lit_resnet.run import detect
from lit_resnet.run.config import RunCLI
from lit_resnet.run.run import train
from lit_resnet.runfolder import examples, precision, records
from lit_resnet.runfolder.folder import RunFolder
from lit_resnet.training.detector import LitDetector
from lit_resnet.training.start import start_weights

METRICS = records.metrics(task.DETECTION)


def config(folder: Path, **changes: Any) -> dict[str, Any]:
    content: dict[str, Any] = {
        "task": "detection",
        "seed_everything": 0,
        "model": {
            "net": {"family": "imagenet", "depth": 18, "shortcut": "A"},
            "bn": "taken",
            "detector": {
                "anchors": [8, 16, 32],
                "untrained": 0,
                "regions": 8,
                "proposals": [40, 8],
                "least_side": 2,
                "background": 0.0,
            },
            "rate": {"lr": 0.002, "milestones": [20]},
        },
        "data": {
            "source": "voc",
            "root": str(folder),
            "train": ["train"],
            "test": ["test"],
            "short_side": 48,
            "long_side": 64,
            "workers": 0,
        },
        "trainer": {"max_steps": 6, "val_check_interval": 3, "log_every_n_steps": 2, "accelerator": "cpu"},
        "evaluate": ["voc07", "voc10"],
    }
    for key, value in changes.items():
        *parents, leaf = key.split("__")
        place = content
        for parent in parents:
            place = place[parent]
        place[leaf] = value
    return content


@pytest.fixture(scope="module", autouse=True)
def _few() -> Iterator[None]:
    """BN's statistics are taken from few images, in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lit_resnet.training.detector.TAKEN_IMAGES", 4)
        yield


@pytest.fixture(scope="module")
def voc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "squares"
    write_voc(folder)
    return folder


@pytest.fixture(scope="module")
def finished(voc: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    run = RunFolder(tmp_path_factory.mktemp("runs") / "grid" / "ResNet-seed0")
    assert train(RunCLI(config(voc)), run)
    return run


def test_a_finished_run_says_what_was_found(finished: RunFolder, voc: Path):
    summary = finished.summary()
    assert summary
    assert (summary.task, summary.net, summary.data, summary.steps) == ("detection", "ResNet-18 A", "voc:squares", 6)
    assert summary.net_config["num_classes"] == 2
    assert summary.test_images
    assert 0 <= summary.metrics["map"] <= summary.metrics["map50"] <= 100
    rows = METRICS.read(finished.path)
    losses = ("rpn_class_loss", "rpn_box_loss", "class_loss", "box_loss")
    assert [row["step"] for row in rows if row["train_loss"] is not None] == [2, 4, 6]
    for row in rows:
        if row["train_loss"] is not None:
            assert row["train_loss"] == pytest.approx(sum(row[name] for name in losses), rel=1e-5)
    entries = finished.evaluations(task.DETECTION)
    assert set(entries) == {"voc07", "voc10"}
    assert entries["voc10"]["map50"] == pytest.approx(summary.metrics["map50"])
    assert set(entries["voc10"]["ap"]) == {"green", "red"}
    assert set(precision.read(finished.path)) == {"green", "red"}
    shown = examples.read(finished.path)
    assert [example.name for example in shown] == ["test0", "test1", "test2", "test3"]
    assert [len(example.truth) for example in shown] == [0, 2, 2, 2]
    assert [true.ignored for true in shown[2].truth] == [False, True]


def test_of_an_example_the_first_boxes_and_the_end_of_the_name_are_kept(tmp_path: Path):
    file, n = tmp_path / "a.png", examples.MOST_BOXES + 1
    Image.new("RGB", (40, 40)).save(file)
    boxes, labels = np.tile([1.0, 2.0, 9.0, 8.0], (n, 1)), np.zeros(n, np.int64)
    image = Annotated("x" * 300 + "7", str(file), 40, 40, boxes, labels, np.zeros(n, bool), np.full(n, 48.0))
    found = Found(boxes.astype(np.float32), labels, np.linspace(1, 0.6, n, dtype=np.float32))
    examples.keep(tmp_path, list(detect._examples(Annotations((image,), ("cell",), (1,)), [found])))
    (kept,) = examples.read(tmp_path)
    assert (len(kept.truth), len(kept.found), kept.found[0].score) == (n - 1, n - 1, 1)
    assert kept.name == "x" * 199 + "7"


def test_a_killed_run_ends_like_the_undisturbed_one(finished: RunFolder, voc: Path, tmp_path: Path):
    """Also where a stock callback makes each iteration a training step of its own."""
    stopped, said = RunFolder(tmp_path / "stopped"), config(voc, trainer__callbacks=[{"class_path": "Timer"}])
    with pytest.raises(Killed):
        train(RunCLI(said), stopped, clock=Saves(4, killed=4))
    torch.rand(3)  # another process has drawn other numbers
    assert train(RunCLI(said), stopped)
    a, b = (torch.load(run.checkpoints / "last.ckpt", weights_only=True)["state_dict"] for run in (finished, stopped))
    assert all(torch.equal(a[name], b[name]) for name in a)
    rows = [[row | {"images_per_second": None} for row in METRICS.read(run.path)] for run in (finished, stopped)]
    assert rows[0] == rows[1]
    for name in ("detections/single.npy", "precision.csv", "examples/examples.json"):
        assert (finished.path / name).read_bytes() == (stopped.path / name).read_bytes()


def test_runs_are_judged_again_from_what_they_found(
    finished: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    run = str(finished.path)
    assert main(["evaluate", run, "--protocol", "voc10", "--refine", "--scales", "48", "96", "--format", "json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["protocol"] == "voc10+refined+multi-scale"
    assert set(finished.evaluations(task.DETECTION)) == {"voc07", "voc10"}  # which stands for the paper's scales
    monkeypatch.setattr(Detector, "detect", None)  # from here on nothing is searched again
    assert main(["evaluate", run, "--protocol", "voc07", "--refine", "--scales", "48", "96"]) == 0
    with pytest.raises(TypeError):
        main(["evaluate", run, "--protocol", "voc07", "--refine", "--scales", "48", "64"])
    assert main(["evaluate", run, "--submission", str(tmp_path / "sent")]) == 0
    assert sorted(path.name for path in (tmp_path / "sent").iterdir()) == [
        "comp4_det_test_green.txt",
        "comp4_det_test_red.txt",
    ]


def test_what_was_found_is_judged_without_the_weights(
    finished: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    run = RunFolder(tmp_path / "run")
    shutil.copytree(finished.path, run.path)
    shutil.rmtree(run.checkpoints)
    run.evaluation_file.unlink()
    assert main(["evaluate", str(run.path), "--protocol", "voc10", "voc07"]) == 0
    found, before = (one.evaluations(task.DETECTION) for one in (run, finished))
    assert {name: entry["ap"] for name, entry in found.items()} == {
        name: entry["ap"] for name, entry in before.items() if name in ("voc07", "voc10")
    }
    # What another search has found before the end is of another model, and counts no more.
    half = json.loads((run.path / "detections" / "single.json").read_text())
    for name in ("npy", "json"):
        shutil.copy(run.path / "detections" / f"single.{name}", run.path / "detections" / f"refined.{name}")
    half |= {"checkpoint": "0" * 64, "search": {"refine": True, "scales": []}}
    (run.path / "detections" / "refined.json").write_text(json.dumps(half))
    assert main(["evaluate", str(run.path), "--refine"]) == 2
    assert "no whole checkpoint here" in capsys.readouterr().err
    assert set(run.evaluations(task.DETECTION)) == {"voc10", "voc07"}
    shutil.rmtree(run.path / "detections")
    for searched in ([], ["--refine"]):
        assert main(["evaluate", str(run.path), *searched]) == 2
        assert "no whole checkpoint here" in capsys.readouterr().err


def test_the_papers_scales_are_kept(
    finished: RunFolder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(detect, "SCALES", (32, 48))
    assert main(["evaluate", str(finished.path), "--scales", "32", "48"]) == 0
    assert "voc07+multi-scale" in finished.evaluations(task.DETECTION)


def test_numbers_of_other_boxes_than_the_runs_own_are_kept_elsewhere(
    voc: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """Also where somebody has corrected the annotations in their place."""
    data, run = tmp_path / "squares", RunFolder(tmp_path / "run")
    shutil.copytree(voc, data)
    single = data / "Annotations" / "train1.xml"
    single.write_text(re.sub(r"<(x|y)(min|max)>[\d.]+<", r"<\1\2>3<", single.read_text(), count=4))
    assert train(RunCLI(config(data, trainer__max_steps=2)), run)
    said = f"warning: 1 box without width or height left out: {single}: object 1"
    assert said in capsys.readouterr().err
    assert run.summary().degenerate_boxes == 1
    judged = run.evaluation_file.read_bytes()
    xml = data / "Annotations" / "test3.xml"
    xml.write_text(xml.read_text().replace("<difficult>0", "<difficult>1", 1))
    (data / "ImageSets" / "Main" / "test.txt").touch()  # a process reads a set anew if its list is newer
    assert main(["evaluate", str(run.path), "--protocol", "voc07"]) == 0
    assert "other test images than the run's own; see " in capsys.readouterr().err
    assert run.evaluation_file.read_bytes() == judged
    (elsewhere,) = (run.path / "elsewhere").iterdir()
    assert set(RunFolder(elsewhere).evaluations(task.DETECTION)) == {"voc07"}


def test_weights_are_not_for_other_classes(
    voc: Path, finished: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """As many of them, by other names: neither to judge nor to go on with."""
    data, run = tmp_path / "squares", RunFolder(tmp_path / "run")
    shutil.copytree(voc, data)
    with pytest.raises(Killed):
        train(RunCLI(config(data)), run, clock=Saves(4, killed=4))
    for xml in (data / "Annotations").iterdir():
        xml.write_text(xml.read_text().replace("red", "blue"))
    for listed in (data / "ImageSets" / "Main").iterdir():
        listed.touch()
    words = "data.root: class 1 of these images is blue, and of the net green: give images"
    with pytest.raises(InputError, match=words):
        train(RunCLI(config(data)), run)
    assert main(["evaluate", str(finished.path), "--data", str(data)]) == 2
    assert words in capsys.readouterr().err


def test_numbers_of_an_earlier_checkpoint_do_not_stay_beside_those_of_the_last(voc: Path, tmp_path: Path):
    run = RunFolder(tmp_path / "run")
    with pytest.raises(Killed):
        train(RunCLI(config(voc)), run, clock=Saves(4, killed=4))
    assert main(["evaluate", str(run.path), "--refine"]) == 0
    assert set(run.evaluations(task.DETECTION)) == {"voc07+refined"}
    assert train(RunCLI(config(voc)), run)
    assert set(run.evaluations(task.DETECTION)) == {"voc07", "voc10"}


def test_one_process_at_a_time_judges_a_run(finished: RunFolder, capsys: pytest.CaptureFixture[str]):
    with FileLock(finished.path / "detections" / ".lock"):
        assert main(["evaluate", str(finished.path)]) == 2
    assert "ResNet-seed0: another process evaluates this run; wait for it" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (
            ["--protocol", "coco"],
            "--protocol is coco, which is not for annotations of this kind: write one of voc07, voc10",
        ),
        (["--protocol", "center"], "--protocol is center, which is not for"),
        (["--scales", "300"], "--scales: 300: write two shorter sides or more"),
        (["--scales", "300", "100000"], "--scales: 300 100000: write two shorter sides or more, in growing order and"),
        (["nowhere"], "lit-resnet: nowhere: no such run folder, nor file of weights"),
        (["--ensemble"], "--ensemble: it is not for detectors"),
        (["--weights", "1"], "--weights: it is not for detectors"),
        (["--batch-size", "8"], "--batch-size: it is not for detectors"),
        (["--protocol", "voc07", "--submission", "sent"], "--protocol, --submission: the server judges"),
    ],
)
def test_what_detectors_cannot_be_judged_by(
    finished: RunFolder, args: list[str], words: str, capsys: pytest.CaptureFixture[str]
):
    assert main(["evaluate", str(finished.path), *args]) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["responses", "lesion", "export", "predict"])
def test_verbs_that_are_for_classification(finished: RunFolder, verb: str, capsys: pytest.CaptureFixture[str]):
    more = {"predict": ["x.png"], "export": ["--to", "x.onnx"]}.get(verb, [])
    assert main([verb, str(finished.path), *more]) == 2
    assert re.search(r"ResNet-seed0: .* classif.*\n$", capsys.readouterr().err)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model__bn": "fixed"}, "model.bn is fixed, to the statistics of fresh weights"),
        ({"model__start": "nowhere"}, "model.bn is taken, and model.start has statistics of its own"),
        ({"model__net": {"family": "cifar", "depth": 20, "shortcut": "A"}}, "model.net.family is cifar"),
        ({"model__rate": {"plateau_patience": 2}}, "model.rate.plateau_patience: detection has no error"),
        ({"model__speed": {"compile": True}}, "model.speed.compile: a detector's images have many sizes"),
        ({"model__detector": {"anchors": []}}, "anchors is []"),
        ({"data__test": ["train"]}, "train is in data.train and in data.test"),
        ({"data__train": ["trian"]}, "trian"),
        ({"data__train": []}, "data.train is empty"),
        ({"data__root": "/nowhere"}, "/nowhere"),
        ({"data__source": "vok"}, "data.source is vok: write voc or coco"),
        ({"data__long_side": 10}, "long_side is 10: write short_side (48) or more"),
        ({"data__batch_size": 0}, "batch_size is 0"),
        ({"evaluate": ["coco"]}, "evaluate is coco, which is not for annotations of this kind"),
    ],
)
def test_configs_that_are_refused_in_one_line(voc: Path, changes: dict[str, Any], words: str):
    with pytest.raises(InputError) as error:
        RunCLI(config(voc, **changes)).check()
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_a_run_that_nothing_here_can_judge_is_refused_before_it_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_coco(tmp_path, ["train", "test"])
    cli = RunCLI(config(tmp_path, data__source="coco", evaluate=[]))
    cli.check()
    monkeypatch.setitem(sys.modules, "faster_coco_eval", None)
    with pytest.raises(InputError, match="needs the package faster-coco-eval: pip install"):
        cli.check()


@pytest.mark.parametrize("test", ["hard", "secret?"])
def test_a_check_needs_no_objects_in_the_first_test_images(
    test: str, finished: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    write_voc(tmp_path / "data", ["train", test])
    for xml in (tmp_path / "data" / "Annotations").glob("hard1.xml"):
        xml.write_text(xml.read_text().replace("<difficult>0", "<difficult>1"))
    said = config(tmp_path / "data", data__test=[test.removesuffix("?")], evaluate=[])
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(said))
    assert main(["fit", "--config", str(tmp_path / "run.yaml"), "--check"]) == 0
    assert "it trains" in capsys.readouterr().err
    weights = str(finished.checkpoints / "last.ckpt")
    assert main(["test", "--config", str(tmp_path / "run.yaml"), "--ckpt_path", weights]) == 0
    said = capsys.readouterr()
    assert (said.out == "", "nothing is known of these images" in said.err) == (test == "secret?",) * 2


def test_a_detector_starts_from_published_weights(voc: Path, tmp_path: Path):
    """The features of torchvision's ResNet-50, to rounding; it is v1.5, and another net's weights are refused."""
    torchvision = pytest.importorskip("torchvision")
    torch.manual_seed(0)
    theirs = torchvision.models.resnet50(weights=None).eval()
    torch.save(theirs.state_dict(), tmp_path / "resnet50.pth")
    net = {"family": "imagenet", "depth": 50, "shortcut": "B", "stride_on": "3x3"}
    changes = {"model__start": str(tmp_path / "resnet50.pth"), "model__bn": "fixed"}
    cli = RunCLI(config(voc, model__net=net, **changes))
    cli.check()
    module = cli.module()
    assert isinstance(module, LitDetector)
    module.begin_from(start_weights(changes["model__start"]))
    image = torch.randint(256, (3, 64, 96), dtype=torch.uint8)
    mean, std = (torch.tensor(values)[:, None, None] for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    features = torch.nn.Sequential(*list(theirs.children())[:-3])((image / 255 - mean)[None] / std)
    backbone = module.detector.eval().backbone
    torch.testing.assert_close(backbone.trunk(module.detector.prepare([image]).tensors), features, rtol=1e-3, atol=1e-3)
    other = RunCLI(config(voc, **changes))
    with pytest.raises(InputError, match="has the weights of ResNet-50 v1.5, not of ResNet-18 A"):
        train(other, RunFolder(tmp_path / "run"))


def test_a_detector_starts_from_a_run_of_classification(voc: Path, tmp_path: Path):
    """All weights but those of the last layer, the mean, and BN's statistics, which stay; also after a kill."""
    for split in ("train", "val"):
        for name in ("cat", "dog"):
            write_image(tmp_path / "photos" / split / name / "1.JPEG", (44, 40))
    sizes = {"short_side": [36, 40], "crop": 32, "test_short_side": 36, "workers": 0}
    data = {"source": "imagenet", "root": str(tmp_path / "photos"), "batch_size": 2, "photographs": sizes}
    trainer = {"max_steps": 2, "val_check_interval": 2, "log_every_n_steps": 2, "accelerator": "cpu"}
    source = RunFolder(tmp_path / "source")
    assert train(RunCLI({"model": {"net": config(voc)["model"]["net"]}, "data": data, "trainer": trainer}), source)
    said = config(voc, model__start=str(source.path), model__bn="fixed")
    module = RunCLI(said).module()
    assert isinstance(module, LitDetector)
    begun = start_weights(said["model"]["start"])
    module.begin_from(begun)
    assert begun.mean is not None
    assert torch.equal(module.detector.mean, begun.mean)
    weights = module.detector.backbone.state_dict()
    assert begun.weights.keys() - weights.keys() == {"fc.weight", "fc.bias"}
    assert all(torch.equal(value, begun.weights[name]) for name, value in weights.items())
    run = RunFolder(tmp_path / "run")
    with pytest.raises(Killed):
        train(RunCLI(said), run, clock=Saves(4, killed=4))
    assert train(RunCLI(said), run)
    assert run.summary().start == begun.started
    last = torch.load(run.checkpoints / "last.ckpt", weights_only=True)["state_dict"]
    kept = {name for name, value in weights.items() if torch.equal(last[f"net.backbone.{name}"], value)}
    assert kept == {name for name in weights if "bn" in name or ".downsample.1" in name}


def test_a_detector_on_vgg_starts_from_published_weights(tmp_path: Path):
    """torchvision's features and fully-connected layers, whose weights are in the order of channels, rows, columns."""
    torchvision = pytest.importorskip("torchvision")
    torch.manual_seed(0)
    theirs = torchvision.models.vgg16(weights=None, init_weights=False).features.eval()
    zeros = {"classifier.3.weight": (4096, 4096), "classifier.6.weight": (1000, 4096)}
    zeros |= {f"classifier.{i}.bias": (size,) for i, size in ((0, 4096), (3, 4096), (6, 1000))}
    row = torch.randn(512 * 7 * 7) / 100
    weights = {f"features.{name}": value for name, value in theirs.state_dict().items()}
    weights |= {name: torch.zeros(1).expand(shape) for name, shape in zeros.items()}
    weights |= {"classifier.0.weight": row.expand(4096, -1), "classifier.3.bias": torch.ones(1).expand(4096)}
    torch.save(weights, tmp_path / "vgg16.pth")
    detector = Detector(NetConfig("vgg", 16, "none", num_classes=2)).eval()
    start = start_weights(str(tmp_path / "vgg16.pth"))
    detector.backbone.load_state_dict(start.of(detector.backbone))
    detector.mean.copy_(start.mean)
    image = torch.randint(256, (3, 64, 96), dtype=torch.uint8)
    mean, std = (torch.tensor(values)[:, None, None] for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.no_grad():
        maps = theirs[:-1](((image / 255 - mean) / std)[None])
        ours = detector.backbone.trunk(detector.prepare([image]).tensors)
        torch.testing.assert_close(ours, maps, rtol=1e-3, atol=1e-4)
        region = torch.rand(1, 512, 7, 7)
        found = detector.backbone.classifier[0](region.flatten(1))
        torch.testing.assert_close(found, (region.flatten() @ row).expand(1, 4096), rtol=1e-4, atol=1e-4)
        assert torch.equal(detector.backbone.head(region), torch.ones(1, 4096))


def test_a_plan_times_a_step_with_all_its_regions():
    """A deep net with fresh weights and fixed BN would propose none."""
    module = LitDetector(NetConfig("imagenet", 101, "B", num_classes=20)).train()
    batch = module.example(1, (3, 320, 480))
    with torch.no_grad():
        assert module.detector.losses(*batch).sampled == module.detector.detector.regions


def test_a_checkpoint_that_came_meanwhile_is_told(voc: Path, tmp_path: Path, monkeypatch, capsys):
    run = RunFolder(tmp_path / "run")
    with pytest.raises(Killed):
        train(RunCLI(config(voc)), run, clock=Saves(4, killed=4))
    monkeypatch.setattr("lit_resnet.run.models.checkpoint_digest", lambda folder: "0" * 64)
    assert main(["evaluate", str(run.path)]) == 2
    assert "is training, and has a newer checkpoint now; ask again" in capsys.readouterr().err


def test_a_grid_from_nothing_to_its_report(voc: Path, finished: RunFolder, tmp_path: Path):
    """The page has the table, the curves and the pictures."""
    (tmp_path / "base.yaml").write_text(yaml.safe_dump(config(voc)))
    grid = {"base": "base.yaml", "include": {"ResNet": {}}}
    grid["report"] = {"tables": ["table7"], "figures": ["curves", "precision-recall", "detections"]}
    (tmp_path / "grid.yaml").write_text(yaml.safe_dump(grid))
    assert main(["plan", str(tmp_path / "grid.yaml"), "--root", str(finished.path.parent.parent)]) == 0
    assert main(["report", str(tmp_path / "grid.yaml"), "--root", str(finished.path.parent.parent)]) == 0
    folder = finished.path.parent / "report"
    assert {"table7.md", "index.html", "curves.csv.gz"} <= {path.name for path in folder.iterdir()}
    drawn = {path.name for path in (folder / "figures").iterdir()}
    assert {"curves.svg", "precision-recall.svg", "detections.png"} <= drawn


def test_two_processes_are_one_with_twice_the_images(voc: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """DDP over gloo: but for rounding the same step, and both judge what they found in all test images.

    A single step, from BN that was taken on both: each one makes what rounding differs by about ten times as large. Of
    most tensors the gradients agree to 1e-5 of the largest one; the worst was 0.3 % apart.
    """
    monkeypatch.setattr("lit_resnet.training.detector.TAKEN_IMAGES", 64)  # as in the two processes
    one = RunFolder(tmp_path / "one")
    said = config(voc, data__batch_size=2)
    said["trainer"] |= {"max_steps": 1, "val_check_interval": 1, "log_every_n_steps": 1}
    assert train(RunCLI(said), one)
    two = train_together(said, tmp_path / "two")
    a, b = (torch.load(run.checkpoints / "last.ckpt", weights_only=True) for run in (one, two))
    momenta = [checkpoint["optimizer_states"][0]["state"] for checkpoint in (a, b)]
    gradients = [[state["momentum_buffer"] for state in of_all.values()] for of_all in momenta]
    for ours, theirs in zip(*gradients, strict=True):
        assert (ours - theirs).abs().max() <= 1e-2 * ours.abs().max()
    for name, value in a["state_dict"].items():
        if value.is_floating_point():
            assert (value - b["state_dict"][name]).abs().max() <= 1e-4 * value.abs().max(), name
    (row,), (other,) = ([row for row in METRICS.read(run.path) if row["train_loss"]] for run in (one, two))
    assert row["train_loss"] == pytest.approx(other["train_loss"], rel=1e-4)
    assert row["map50"] == pytest.approx(other["map50"], abs=0.5)
    found = [np.load(run.path / "detections" / "single.npy") for run in (one, two)]
    assert set(found[0][:, 0]) == set(found[1][:, 0]) == {0, 1, 2, 3}
    assert len(found[0]) == pytest.approx(len(found[1]), abs=2)
