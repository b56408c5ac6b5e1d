"""The scripts in benchmarks/: what can be seen of them in seconds."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from lab import METRICS
from torchvision.datasets import CIFAR10

from lit_resnet.data import sources
from lit_resnet.runfolder.folder import RunFolder

SCRIPTS = sorted((Path(__file__).parent.parent / "benchmarks").glob("*.py"))


def script(name: str) -> ModuleType:
    path = next(path for path in SCRIPTS if path.stem == name)
    spec = importlib.util.spec_from_file_location(f"benchmarks_{name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", [path.stem for path in SCRIPTS])
def test_help_says_what_is_measured(name: str, monkeypatch, capsys):
    module = script(name)
    monkeypatch.setattr(sys, "argv", [f"{name}.py", "--help"])
    with pytest.raises(SystemExit) as end:
        module.main()
    assert end.value.code == 0
    assert module.__doc__.splitlines()[0].split(":")[0] in " ".join(capsys.readouterr().out.split())


def test_hundreds_of_attacks_end_in_one_line_each():
    """Damaged and hostile grids, configs, words, run folders and nets; a case is repeated by its number."""
    cases = list(script("fuzz").attack(seed=0, seconds=1e9, number=300))
    assert [f"{case.number}: {case.kind}: {case.what}: {case.wrong}" for case in cases if case.wrong] == []
    assert len({case.kind for case in cases}) == 6
    accepted = sum(case.end == "0" for case in cases)
    assert 100 < accepted < 400, "a change is often harmless, and often not"


def test_images_for_the_peer_are_read_as_cifar10(tmp_path: Path, monkeypatch):
    for name in ("train_list", "test_list", "meta"):
        monkeypatch.setattr(CIFAR10, name, getattr(CIFAR10, name))
    peer = script("peer")
    peer.write_images(tmp_path)
    peer.accept_generated()
    train, labels, test, _ = sources.cifar10(tmp_path)
    assert train.shape == (50_000, 3, 32, 32)
    assert test.shape == (10_000, 3, 32, 32)
    assert labels.unique().tolist() == list(range(10))


def test_one_bit_is_a_difference(tmp_path: Path):
    difference = script("kills").difference
    weight = torch.zeros(3)
    runs = []
    for name, value in (("a", weight), ("b", weight), ("c", -weight)):  # -0 is 0, but other bits
        folder = RunFolder(tmp_path / name)
        folder.checkpoints.mkdir(parents=True)
        folder.config_file.write_text("task: classification\n")
        torch.save({"state_dict": {"fc.weight": value}}, folder.checkpoints / "last.ckpt")
        METRICS.replace(folder.path, [{"step": 1, "train_error": 5.0, "images_per_second": float(len(runs))}])
        runs.append(folder)
    a, b, c = runs
    assert difference(a, b) is None
    assert difference(a, c) == "weight fc.weight"
    (b.path / "predictions.npy").write_bytes(b"1")
    assert difference(a, b) == "predictions.npy"
    METRICS.append(b.path, [{"step": 2, "train_error": 4.0}])
    assert difference(a, b) == "metrics.csv"


def test_the_page_of_results_is_that_of_the_results():
    module = script("results_page")
    assert module.PAGE.read_text(encoding="utf-8") == module.page(), "run python benchmarks/results_page.py"
    results = module.ROOT / "results"
    told = {path.parent for path in results.rglob("about.yaml")}
    assert [path for path in results.rglob("*.png") if not told & set(path.parents)] == []
