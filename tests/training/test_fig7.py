"""Fig. 7 from checkpoints, against a slow computation that shares nothing with ours: float64, one image at a time."""

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn.functional import batch_norm, conv2d, pad, relu

from lit_resnet.run.config import RunCLI
from lit_resnet.run.run import responses_of, train
from lit_resnet.runfolder.folder import RunFolder
from lit_resnet.runfolder.records import RESPONSES


def slow_responses(weights: dict[str, Tensor], images: Tensor, plain: bool) -> list[float]:
    """Std of each layer's response, written down from Sec. 4.2 for option A."""

    def layer(x: Tensor, at: str, number: int, stride: int) -> Tensor:
        x = conv2d(x, weights[f"{at}conv{number}.weight"], stride=stride, padding=1)
        mean, var, scale, shift = (
            weights[f"{at}bn{number}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")
        )
        return batch_norm(x, mean, var, scale, shift, eps=1e-5)

    values: list[list[Tensor]] = []
    for image in images:
        outputs = [layer(image[None], "", 1, 1)]
        x = relu(outputs[-1])
        for stage in (1, 2, 3):
            blocks = sorted({name.split(".")[1] for name in weights if name.startswith(f"layer{stage}.")}, key=int)
            for block in blocks:
                stride = 2 if stage > 1 and block == "0" else 1
                at = f"layer{stage}.{block}."
                outputs.append(layer(x, at, 1, stride))
                outputs.append(layer(relu(outputs[-1]), at, 2, 1))
                shortcut = x if stride == 1 else pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 0, x.shape[1]))
                x = relu(outputs[-1] if plain else outputs[-1] + shortcut)
        values.append([output.flatten() for output in outputs])
    return [torch.cat(of_a_layer).std(correction=0).item() for of_a_layer in zip(*values, strict=True)]


@pytest.mark.parametrize(("shortcut", "depth"), [("none", 8), ("A", 14)])
def test_equals_a_slow_separate_computation(tmp_path: Path, shortcut: str, depth: int):
    config = {
        "model": {"net": {"depth": depth, "shortcut": shortcut}},
        "data": {"source": "digits", "pad": 1, "flip": False},
        "trainer": {"max_steps": 30, "val_check_interval": 30, "log_every_n_steps": 10, "accelerator": "cpu"},
    }
    run = RunFolder(tmp_path / "run")
    cli = RunCLI(config)
    assert train(cli, run)
    checkpoint = torch.load(run.checkpoints / "last.ckpt", weights_only=True)["state_dict"]
    weights = {name.removeprefix("net."): value.double() for name, value in checkpoint.items()}
    every = cli.datamodule.train[0].double()
    images = (cli.datamodule.test[0].double() - every.mean(0)) / 255
    slow = slow_responses(weights, images, plain=shortcut == "none")
    measured = responses_of(str(run.path))
    assert len(measured) == depth - 1
    assert [std for _, std in measured] == pytest.approx(slow, rel=1e-4)
    assert [row["std"] for row in RESPONSES.read(run.path)] == pytest.approx(slow, rel=1e-4)
