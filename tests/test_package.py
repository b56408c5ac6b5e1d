"""What a program imports from lit_resnet: at no cost until it is used, and ready to be used."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

import lit_resnet
from lit_resnet.data import class_names, sources
from lit_resnet.data.dataset import Settings
from lit_resnet.errors import InputError
from lit_resnet.run.config import RunCLI
from lit_resnet.run.run import train
from lit_resnet.runfolder.folder import RunFolder

CONFIG = {
    "model": {"net": {"depth": 8}},
    "data": {"source": "digits", "pad": 1, "flip": False, "batch_size": 16},
    "trainer": {"max_steps": 2, "val_check_interval": 2, "log_every_n_steps": 1, "accelerator": "cpu"},
}


def test_names_are_imported_when_they_are_used():
    code = (
        "import sys, lit_resnet; assert 'torch' not in sys.modules and 'yaml' not in sys.modules\n"
        "assert 'NetConfig' in dir(lit_resnet); lit_resnet.NetConfig(); assert 'lightning' not in sys.modules\n"
        "try: lit_resnet.create_model\nexcept AttributeError: pass\nelse: raise SystemExit(1)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert all(getattr(lit_resnet, name) for name in lit_resnet.__all__)


def test_classes_have_names():
    assert [len(set(names)) for names in (class_names.CIFAR10, class_names.CIFAR100, class_names.FASHION)] == [
        *(10, 100, 10)
    ]
    assert sources.find("digits").describe(Settings("digits")).classes == tuple("0123456789")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = RunFolder(tmp_path_factory.mktemp("run") / "a")
    assert train(RunCLI(CONFIG), folder)
    return folder


def test_a_finished_run_is_a_net_for_images_as_they_are(run: RunFolder):
    net = lit_resnet.load_run(run.path)
    data = RunCLI(CONFIG).data()
    data.setup("test")
    images, labels = data.test
    with torch.inference_mode():
        wrong = (net(images).argmax(1) != labels).double().mean().item()
    assert 100 * wrong == pytest.approx(net.summary.metrics["test_error"], abs=1e-3)
    assert (net.classes, net.image_shape, net.training) == (tuple("0123456789"), (1, 8, 8), False)
    assert str(net.net.config) == "ResNet-8"
    for wrong in (images[0], images.expand(-1, 3, -1, -1), images[:, :, :4]):
        with pytest.raises(InputError, match=r"give \[N, 1, 8, 8\], levels from 0 to 255"):
            net(wrong)


def test_what_is_no_finished_run_is_told(run: RunFolder, tmp_path: Path):
    with pytest.raises(InputError, match=r"no run here"):
        lit_resnet.load_run(tmp_path)
    copy = RunFolder(tmp_path / "b")
    copy.checkpoints.mkdir(parents=True)
    copy.write_summary(run.summary())
    with pytest.raises(InputError, match=r"no whole checkpoint"):
        lit_resnet.load_run(copy.path)
    for kept in (None, {"mean": None, "classes": [], "image_shape": [1]}):
        checkpoint = torch.load(run.checkpoints / "last.ckpt", weights_only=True) | {"data": kept}
        torch.save(checkpoint, copy.checkpoints / "last.ckpt")
        with pytest.raises(InputError, match=r"does not say what images it is for"):
            lit_resnet.load_run(copy.path)


def test_runs_of_a_grid_are_a_table_of_pandas(lab):
    pytest.importorskip("pandas")
    lab.finish("a", 0, test_error=8.5)
    lab.finish("a", 1, test_error=7.5)
    grid = lab.grid({"a": {"model.rate.lr": 0.1}, "b": {"model.rate.lr": 0.2, "seeds": [3]}}, seeds=[0, 1])
    found = lit_resnet.read_runs(grid, lab.root)
    assert list(found.cell) == ["a", "a", "b"]
    assert list(found.seed) == [0, 1, 3]
    assert list(found.state) == ["done", "done", "queued"]
    assert list(found.lr) == [0.1, 0.1, 0.2]
    assert found[found.state == "done"].groupby(["depth", "shortcut"]).test_error.mean().item() == 8.0
    assert found.test_error.isna().tolist() == [False, False, True]
    assert found.best_test_error.min() <= 7.5
