"""BN's statistics as true averages over batches: `take_statistics`, and `model.bn_images` of a run."""

from itertools import islice
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Trainer
from torch import nn

from lit_resnet.data.module import ImageData
from lit_resnet.errors import InputError
from lit_resnet.nets import NetConfig, build
from lit_resnet.nets.normalization import group_batch_norm
from lit_resnet.run.config import RunCLI
from lit_resnet.run.run import train
from lit_resnet.runfolder.folder import RunFolder
from lit_resnet.training.classifier import LitResNet
from lit_resnet.training.statistics import batch_norms, take_statistics
from lit_resnet.training.weights import load_weights


def images(*sizes: int) -> list[torch.Tensor]:
    torch.manual_seed(0)
    return [3 * torch.randn(size, 3, 8, 8) + 1 for size in sizes]


@pytest.mark.parametrize("group", [None, 4])
def test_statistics_are_the_averages_over_batches_or_their_groups(group: int | None):
    net = nn.Sequential(nn.BatchNorm2d(3, momentum=0.3), nn.Dropout(), nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2))
    if group:
        group_batch_norm(net, group)
    net[1].eval()
    with torch.no_grad():
        net[0].running_mean.fill_(float("nan"))  # what was there before does not matter
    assert take_statistics(net, images(8, 8, 8), net) == 3
    parts = [part for batch in images(8, 8, 8) for part in batch.split(group or 8)]
    seen = [part.movedim(1, 0).flatten(1) for part in parts]
    torch.testing.assert_close(net[0].running_mean, torch.stack([one.mean(1) for one in seen]).mean(0))
    torch.testing.assert_close(net[0].running_var, torch.stack([one.var(1) for one in seen]).mean(0))
    # The second layer sees what training would give it, without dropout.
    fresh = nn.BatchNorm2d(3, affine=False)
    with torch.no_grad():
        inner = [net[2](fresh(part)).movedim(1, 0).flatten(1) for part in parts]
    torch.testing.assert_close(net[3].running_mean, torch.stack([one.mean(1) for one in inner]).mean(0))
    assert [module.training for module in net] == [True, False, True, True]
    assert net[0].momentum == 0.3


def test_nothing_is_drawn_and_no_weight_changes():
    net = build(NetConfig(depth=8))
    before = {name: value.clone() for name, value in net.named_parameters()}
    batches, drawn = images(4, 4), torch.get_rng_state()
    take_statistics(net.eval(), iter(batches), net.forward)
    assert torch.equal(drawn, torch.get_rng_state())
    assert all(torch.equal(before[name], value) for name, value in net.named_parameters())
    assert not any(module.training for module in net.modules())
    assert all(layer.running_mean.abs().sum() > 0 for layer in batch_norms(net))


def test_devices_are_averaged():
    net = nn.BatchNorm2d(3)
    take_statistics(net, images(8), net, mean_of_devices=lambda statistic: 2 * statistic)
    torch.testing.assert_close(net.running_mean, 2 * images(8)[0].mean((0, 2, 3)))


def test_what_has_no_statistics():
    with pytest.raises(ValueError, match="no BN layers"):
        take_statistics(nn.Conv2d(3, 3, 1), images(2), print)
    net = nn.BatchNorm2d(3)
    with pytest.raises(ValueError, match="no batches"):
        take_statistics(net, [], net)
    assert net.training
    assert net.momentum == 0.1


def test_a_run_takes_them_over_the_batches_after_its_last(tmp_path: Path, one_thread: None):
    cli = RunCLI(
        {
            "model": {"net": {"depth": 8}, "rate": {"lr": 0.05}, "bn_images": 70},
            "data": {"source": "digits", "pad": 1, "batch_size": 32},
            "trainer": {"max_steps": 4, "val_check_interval": 4, "accelerator": "cpu", "precision": "bf16-mixed"},
        }
    )
    run = RunFolder(tmp_path / "run")
    assert train(cli, run)
    data, config = cli.check()
    data.setup("fit")
    data.seed = 0
    net = build(config)
    load_weights(net, run.checkpoints / "last.ckpt")
    kept = [layer.running_var.clone() for layer in batch_norms(net)]
    net.to(memory_format=torch.channels_last)
    following = (images.contiguous(memory_format=torch.channels_last) for images, _ in data.following(4))
    take_statistics(net, islice(following, 3), net)
    assert all(torch.equal(layer.running_var, before) for layer, before in zip(batch_norms(net), kept, strict=True))
    # The last evaluation is of the net with these statistics.
    with torch.inference_mode():
        wrong = sum((net.eval()(images).argmax(1) != labels).sum() for images, labels in data.test_dataloader())
    assert run.summary().metrics["test_error"] == pytest.approx(100 * wrong.item() / 500, abs=1e-3)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"net": {"family": "vgg", "depth": 16, "shortcut": "none"}, "bn_images": 9}, "model.bn_images: a vgg net"),
        ({"bn_images": 0}, "model.bn_images is 0: write training images, from 1, or null"),
    ],
)
def test_what_a_run_cannot_take_them_over(model: dict, message: str):
    with pytest.raises(InputError, match=message):
        RunCLI({"model": model, "data": {"source": "digits"}}).check()


def test_a_trainer_of_ones_own_knows_no_last_iteration(tmp_path: Path):
    own = Trainer(default_root_dir=tmp_path, max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False)
    with pytest.raises(InputError, match=r"model.bn_images: needs data of lit_resnet, and a Trainer with max_steps"):
        own.fit(LitResNet(NetConfig(depth=8, in_channels=1), bn_images=64), ImageData("digits"))
    with pytest.raises(ValueError, match="bn_images is 64: this net has no BN"):
        LitResNet(NetConfig(own="torch.nn.Flatten"), bn_images=64)
