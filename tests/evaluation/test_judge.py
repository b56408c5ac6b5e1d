"""Run folders are judged: what is averaged, what is kept, and what is not done twice."""

import errno
import json
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from filelock import FileLock
from lab import make_summary

from lit_resnet.data import on_disk
from lit_resnet.data.module import ImageData
from lit_resnet.data.photographs import Photographs
from lit_resnet.errors import InputError
from lit_resnet.evaluation import judge, progress
from lit_resnet.evaluation.alone import judged_alone
from lit_resnet.run import evaluate as verb
from lit_resnet.run import models
from lit_resnet.run.last import Last
from lit_resnet.runfolder.folder import RunFolder

N, CLASSES = 24, 6
LABELS = np.repeat(np.arange(CLASSES), 4)
PHOTOGRAPHS = Photographs(short_side=(36, 48), crop=32, test_short_side=40)
SCALES = (32, 37, 55, 69, 91)  # the paper's, for crops of 32
Run = Callable[..., RunFolder]


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """The views that nets were shown, and of how many images, in a list that grows."""
    calls, scores = [], judge.scores

    def spy(net, mean, view, images, batch_size):
        calls.append((str(view), len(images)))
        return scores(net, mean, view, images, batch_size)

    monkeypatch.setattr(judge, "scores", spy)
    return calls


def evaluate(*folders: RunFolder, protocol: str = "center", **others) -> list[dict]:
    return verb.evaluate([folder.path for folder in folders], [protocol], **others)


def cached(folder: RunFolder, view: str) -> np.ndarray:
    return np.load(folder.scores / f"{view}.npy", allow_pickle=False).astype(np.float64)


def errors(scores: np.ndarray) -> tuple[float, float]:
    """Top-1 and top-5 error of scores without ties."""
    own = scores[np.arange(N), LABELS][:, None]
    places = (scores > own).sum(1)
    return round(100 * (places >= 1).mean(), 4), round(100 * (places >= 5).mean(), 4)


def test_rows_and_files(run: Run):
    folder = run()
    (row,) = evaluate(folder, protocol="ten-crop")
    top1, top5 = errors(cached(folder, "ten-crop"))
    assert 0 < top5 < top1
    assert row == {
        "run": str(folder.path),
        "net": "ResNet-8",
        "protocol": "ten-crop",
        "top1_error": top1,
        "top5_error": top5,
        "images": N,
    }
    assert cached(folder, "ten-crop").shape == (N, CLASSES)
    np.testing.assert_allclose(cached(folder, "ten-crop").sum(1), 1, rtol=1e-5)
    entry = folder.evaluations()["ten-crop"]
    assert (entry["top1_error"], entry["top5_error"], entry["images"]) == (top1, top5, N)
    assert (entry["views"], entry["data"]) == (["ten-crop"], folder_name(folder))
    assert len(entry["checkpoint"]) == 64
    assert sorted(path.name for path in folder.scores.iterdir() if path.name != ".lock") == [
        "ten-crop.json",
        "ten-crop.npy",
    ]


def folder_name(folder: RunFolder) -> str:
    return f"folder:{Path(folder.config()['data']['root']).name}"


def test_errors_of_several_protocols_stand_beside_each_other(run: Run):
    folder = run()
    evaluate(folder)
    center = folder.evaluations()["center"]
    evaluate(folder, protocol="ten-crop")
    assert folder.evaluations()["center"] == center
    assert list(folder.evaluations()) == ["center", "ten-crop"]


def test_multi_scale_is_the_mean_of_its_views(run: Run):
    folder = run()
    (row,) = evaluate(folder, protocol="multi-scale")
    mean = np.mean([cached(folder, f"dense-{side}") for side in SCALES], axis=0)
    assert (row["top1_error"], row["top5_error"]) == errors(mean)
    assert folder.evaluations()["multi-scale"]["views"] == [f"dense-{side}" for side in SCALES]


def test_scales_of_ones_own_are_not_kept_as_the_papers(run: Run, seen: list):
    folder = run()
    (row,) = evaluate(folder, protocol="multi-scale", scales=[37, 91])
    mean = (cached(folder, "dense-37") + cached(folder, "dense-91")) / 2
    assert (row["top1_error"], row["top5_error"]) == errors(mean)
    assert folder.evaluations() == {}
    seen.clear()
    evaluate(folder, protocol="multi-scale")
    assert {view for view, _ in seen} == {"dense-32", "dense-55", "dense-69"}  # the others are there


@pytest.mark.parametrize("weights", [None, [1.0, 3.0]])
def test_an_ensemble_is_the_mean_of_cached_scores(run: Run, weights: list[float] | None):
    folders = [run("a", 1), run("b", 2, shortcut="B")]
    rows = evaluate(*folders, ensemble=True, weights=weights)
    assert [row["net"] for row in rows] == ["ResNet-8", "ResNet-8 B", "ResNet-8 + ResNet-8 B"]
    scores = [cached(folder, "center") for folder in folders]
    mean = np.average(scores, axis=0, weights=weights)
    assert (rows[2]["top1_error"], rows[2]["top5_error"]) == errors(mean)
    assert errors(mean) not in [errors(one) for one in scores]  # or it would show nothing
    if weights is None:
        found = verb.ensemble_of(folders, "center")
        assert found == {key: rows[2][key] for key in ("top1_error", "top5_error", "images")}


def test_one_pass_for_all_nets_and_protocols(run: Run, monkeypatch: pytest.MonkeyPatch):
    asked, read = [], on_disk.read_in_order

    def spy(files, *others):
        asked.append(len(files))
        return read(files, *others)

    monkeypatch.setattr(on_disk, "read_in_order", spy)
    folders = [run("a", 1), run("b", 2)]
    rows = verb.evaluate([folder.path for folder in folders], ["center", "ten-crop"])
    assert asked == [N]
    assert [(row["run"], row["protocol"]) for row in rows] == [
        (str(folder.path), protocol) for protocol in ("center", "ten-crop") for folder in folders
    ]


def test_views_in_the_cache_are_not_computed_again(run: Run, seen: list):
    folder, other = run("a", 1), run("b", 2)
    first = evaluate(folder)
    assert seen == [("center", 16), ("center", 8)]
    seen.clear()
    assert evaluate(folder) == first
    assert seen == []
    evaluate(folder, other)
    assert seen == [("center", 16), ("center", 8)]  # the other's


@pytest.mark.parametrize("change", ["weights", "mean", "crop"])
def test_what_is_cached_of_something_else_is_made_anew(run: Run, seen: list, change: str):
    folder = run()
    evaluate(folder)
    before = cached(folder, "center")
    seen.clear()
    last = folder.checkpoints / "last.ckpt"
    if change == "weights":
        run(seed=5)
    elif change == "mean":
        torch.save(torch.load(last) | {"data": {"mean": torch.full((3, 1, 1), 60.0)}}, last)
    else:
        folder.config_file.write_text(folder.config_file.read_text().replace("crop: 32", "crop: 36"))
    evaluate(folder)
    assert seen == [("center", 16), ("center", 8)]
    assert not np.array_equal(cached(folder, "center"), before)


def elsewhere(folder: RunFolder) -> RunFolder:
    """Where is kept what other images gave than the run's own."""
    (path,) = (folder.path / "elsewhere").iterdir()
    return RunFolder(path)


def test_what_other_images_give_is_kept_apart(run: Run, root: Path, tmp_path: Path):
    folder, copy = run(), tmp_path / root.name
    (own,) = evaluate(folder)
    before = cached(folder, "center")
    shutil.copytree(root, copy)
    (copy / "val" / "n0" / "0.JPEG").write_bytes((copy / "val" / "n0" / "1.JPEG").read_bytes())
    evaluate(folder, root=copy)
    assert np.array_equal(cached(folder, "center"), before)
    assert not np.array_equal(cached(elsewhere(folder), "center"), before)
    assert folder.evaluations()["center"]["top1_error"] == own["top1_error"]
    assert set(elsewhere(folder).evaluations()) == {"center"}


def test_images_that_have_changed_in_their_place_do_not_change_a_finished_runs_numbers(
    run: Run, root: Path, tmp_path: Path, capsys
):
    copy, folder = tmp_path / "copy" / root.name, run()
    shutil.copytree(root, copy)
    folder.config_file.write_text(folder.config_file.read_text().replace(str(root), str(copy)))
    evaluate(folder)
    folder.write_summary(make_summary(net="ResNet-8", test_images=models.of_run(folder).images.digest))
    evaluate(folder)
    own = folder.evaluation_file.read_bytes()
    assert capsys.readouterr().err.count("other test images") == 0
    (copy / "val" / "n0" / "0.JPEG").write_bytes((copy / "val" / "n0" / "1.JPEG").read_bytes())
    evaluate(folder)
    assert f"{folder.path}: other test images than the run's own; see " in capsys.readouterr().err
    assert folder.evaluation_file.read_bytes() == own
    assert set(elsewhere(folder).evaluations()) == {"center"}


def test_numbers_of_an_earlier_checkpoint_do_not_stay(run: Run):
    folder = run()
    evaluate(folder, protocol="ten-crop")
    run(seed=5)
    evaluate(folder)
    assert set(folder.evaluations()) == {"center"}


def test_images_that_have_only_moved_are_the_same(run: Run, root: Path, tmp_path: Path, seen: list):
    folder = run()
    first = evaluate(folder)
    (tmp_path / root.name).symlink_to(root)
    assert evaluate(folder, root=tmp_path / root.name) == first
    assert len(seen) == 2


@pytest.mark.parametrize(
    ("portion", "left"),
    [(16, [("dense-55", 16), ("dense-37", 8), ("dense-55", 8)]), (8, [("dense-37", 8), ("dense-55", 8)])],
)
def test_an_evaluation_that_was_killed_goes_on_and_gives_the_same_bits(
    run: Run, seen: list, monkeypatch: pytest.MonkeyPatch, portion: int, left: list
):
    """Killed in its first portion of 16 images, or the last one of 8, between two views."""
    undisturbed, folder = run("a"), run("b")
    evaluate(undisturbed, protocol="multi-scale", scales=[37, 55])
    scores = judge.scores

    def killed(net, mean, view, images, batch_size):
        if str(view) == "dense-55" and len(images) == portion:
            raise KeyboardInterrupt
        return scores(net, mean, view, images, batch_size)

    with monkeypatch.context() as patch:
        patch.setattr(judge, "scores", killed)
        with pytest.raises(KeyboardInterrupt):
            evaluate(folder, protocol="multi-scale", scales=[37, 55])
    assert not list(folder.scores.glob("*.npy"))
    with (folder.scores / "dense-55.part").open("ab") as file:  # a row and a half of a portion that was being written
        file.write(bytes(36))
    seen.clear()
    evaluate(folder, protocol="multi-scale", scales=[37, 55])
    assert seen == left
    for name in ("dense-37.npy", "dense-55.npy"):
        assert (folder.scores / name).read_bytes() == (undisturbed.scores / name).read_bytes()


@pytest.mark.parametrize(
    "damage", ["half", "empty", "text", "pickle", "no json", "json", "list", "other shape", "float64"]
)
def test_a_damaged_cache_is_made_anew(run: Run, seen: list, damage: str):
    folder = run()
    first = evaluate(folder)
    path, about = folder.scores / "center.npy", folder.scores / "center.json"
    content = path.read_bytes()
    if damage == "no json":
        about.unlink()
    elif damage in ("json", "list"):
        about.write_text({"json": "{", "list": "[1]"}[damage])
    elif damage in ("pickle", "other shape", "float64"):
        array = np.load(path)
        others = {"pickle": np.array([{}] * N), "other shape": array[:20], "float64": array.astype(np.float64)}
        np.save(path, others[damage], allow_pickle=True)
    else:
        path.write_bytes({"half": content[: len(content) // 2], "empty": b"", "text": b"hello"}[damage])
    seen.clear()
    assert evaluate(folder) == first
    assert len(seen) == 2
    assert path.read_bytes() == content


def test_a_part_of_something_else_is_not_gone_on_with(run: Run, seen: list):
    folder = run()
    evaluate(folder)
    content = (folder.scores / "center.npy").read_bytes()
    (folder.scores / "center.npy").rename(folder.scores / "center.part")
    run(seed=5)
    seen.clear()
    evaluate(folder)
    assert len(seen) == 2
    assert (folder.scores / "center.npy").read_bytes() != content


@pytest.mark.parametrize(("number", "kind"), [(errno.ENOSPC, OSError), (errno.EACCES, InputError)])
def test_what_cannot_be_written(run: Run, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[Exception]):
    """A full disk is told as it is: a launched run tries again."""
    folder = run()

    def refused(self, rows):
        raise self._unwritable(OSError(number, os.strerror(number)))

    monkeypatch.setattr("lit_resnet.evaluation.score_cache.ScoresFile.append", refused)
    with pytest.raises(kind, match=os.strerror(number)):
        evaluate(folder)


def test_another_process_evaluates_this_run(run: Run):
    folder = run()
    folder.scores.mkdir()
    with FileLock(folder.scores / ".lock"), pytest.raises(InputError, match="another process evaluates this run"):
        evaluate(folder)


def test_damaged_images_are_left_out_where_a_run_skips_them(run: Run, root: Path, tmp_path: Path, capsys):
    copy = tmp_path / "broken"
    for path in root.glob("*/*/*.JPEG"):
        (copy / path.relative_to(root)).parent.mkdir(parents=True, exist_ok=True)
        (copy / path.relative_to(root)).write_bytes(path.read_bytes())
    (copy / "val" / "n1" / "2.JPEG").write_bytes(b"no image")
    folder = run()
    with pytest.raises(InputError, match=r"n1/2.JPEG: not an image, or a damaged one"):
        evaluate(folder, root=copy)
    folder.config_file.write_text(folder.config_file.read_text().replace("crop: 32", "crop: 32\n    damaged: skip"))
    (row,) = evaluate(folder, root=copy)
    scores = cached(elsewhere(folder), "center")
    assert row["images"] == N - 1
    assert (scores[6] == -1).all()
    assert (scores[np.arange(N) != 6] >= 0).all()
    places = (scores > scores[np.arange(N), LABELS][:, None]).sum(1)
    assert row["top1_error"] == round(100 * (places[np.arange(N) != 6] >= 1).mean(), 4)


def test_with_worker_processes(run: Run):
    alone, helped = run("a"), run("b")
    evaluate(alone, protocol="ten-crop")
    evaluate(helped, protocol="ten-crop", workers=2)
    assert np.array_equal(cached(alone, "ten-crop"), cached(helped, "ten-crop"))


def test_a_run_that_has_just_been_trained(run: Run, seen: list, monkeypatch: pytest.MonkeyPatch):
    """Also while somebody evaluates it."""
    folder = run()
    judged = models.of_run(folder)
    data = ImageData("imagenet", folder.config()["data"]["root"], photographs=PHOTOGRAPHS)
    data.mean = judged.mean
    # What trained it is not asked.
    last = Last(None, judged.net, data, torch.device("cpu"), folder, None)  # pyright: ignore[reportArgumentType]
    held, asked, said = threading.Event(), threading.Event(), []

    def another() -> None:
        with judged_alone(folder, folder.scores):
            held.set()
            asked.wait(10)

    def say(words: str, file: object) -> None:
        said.append(words)
        asked.set()

    monkeypatch.setattr("lit_resnet.evaluation.alone.print", say, raising=False)
    threading.Thread(target=another).start()
    assert held.wait(10)
    verb.judge_last(last, ["center", "ten-crop"])
    assert said == [f"{folder.path}: another process evaluates this run; waiting for it"]
    found = folder.evaluations()
    assert found.keys() == {"center", "ten-crop"}
    assert found["center"]["images"] == N
    seen.clear()
    (row,) = evaluate(folder)
    assert seen == []  # what was cached is of that checkpoint
    assert row["top1_error"] == found["center"]["top1_error"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scales": [37]}, "--scales: they are for --protocol multi-scale"),
        ({"weights": [1.0, 2.0]}, "--weights: they are for --ensemble"),
        ({"ensemble": True, "weights": [1.0]}, "--weights: write 2 numbers above 0"),
        ({"ensemble": True, "weights": [1.0, -1.0]}, "--weights: write 2 numbers above 0"),
        ({"protocol": "multi-scale", "scales": [10**6]}, "--scales is 1000000: write a number from 1 to 8,192"),
        ({"workers": -1}, "--workers is -1: write a number from 0 to 1,024"),
        ({"workers": 10**6}, "--workers is 1000000: write a number from 0"),
        ({"batch_size": 0}, "--batch-size is 0: write a number from 1"),
    ],
)
def test_arguments_that_do_not_fit(arguments: dict, message: str, tmp_path: Path):
    folders = [RunFolder(tmp_path / name) for name in "ab"]
    for folder in folders:
        folder.path.mkdir()
    with pytest.raises(InputError, match=message):
        evaluate(*folders, **arguments)


def test_runs_that_do_not_fit(tmp_path: Path):
    folder = RunFolder(tmp_path)
    with pytest.raises(InputError, match="--ensemble: one run makes none"):
        evaluate(folder, ensemble=True)
    with pytest.raises(InputError, match="is there twice; write every run once"):
        evaluate(folder, RunFolder(tmp_path / "x" / ".."))
    with pytest.raises(InputError, match="nowhere: no such run folder, nor file of weights"):
        evaluate(RunFolder("nowhere"))


def test_progress_in_a_log_file(run: Run, monkeypatch: pytest.MonkeyPatch, capsys):
    monkeypatch.setattr(progress, "LOG_SECONDS", 0)
    evaluate(run(), protocol="ten-crop")
    first, last = capsys.readouterr().err.splitlines()
    assert first.startswith("image 16/24: ")
    assert last.startswith("image 24/24: ")
    assert last.endswith(" images/s, 1 net: ten-crop")


def test_evaluation_json_is_one_mapping(run: Run):
    folder = run()
    evaluate(folder)
    assert list(json.loads(folder.evaluation_file.read_text())) == ["center"]
