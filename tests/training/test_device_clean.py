"""Iterations on devices without values, PyTorch's meta device and fake CUDA tensors: reading a value fails there."""

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from lightning.pytorch.core.optimizer import LightningOptimizer
from PIL import Image
from torch import Tensor, nn
from torch._dynamo.backends.common import aot_autograd
from torch._functorch.aot_autograd import make_boxed_func
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from lit_resnet.data.augment import CropFlip
from lit_resnet.data.dataset import Place
from lit_resnet.data.module import ImageData
from lit_resnet.data.photographs import Photographs
from lit_resnet.data.stream import BatchStream, EvalBatches
from lit_resnet.data.transfer import sent
from lit_resnet.evaluation.scores import scores
from lit_resnet.evaluation.views import View
from lit_resnet.nets import NetConfig, build
from lit_resnet.probes.responses import responses
from lit_resnet.probes.signals import Listening
from lit_resnet.training.classifier import LitResNet
from lit_resnet.training.iterations import Speed
from lit_resnet.training.schedule import Rate

ROOT = Path(__file__).parent.parent.parent
META = torch.device("meta")
COPIES = ("aten._to_copy", "aten.copy_")  # from the CPU to the device, which nothing waits for


class Operators(TorchDispatchMode):
    """Counts the operators that a device would be given, and refuses those that would mix in a tensor of the CPU."""

    def __init__(self) -> None:
        super().__init__()
        self.counted: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """One operator."""
        taken = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        result = func(*args, **(kwargs or {}))
        given = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        name = str(func).rpartition(".")[0]
        on_device = any(tensor.device == META for tensor in (*taken, *given))
        mixed = [tensor for tensor in taken if tensor.device != META and tensor.ndim]
        if on_device and mixed and name not in COPIES:
            raise RuntimeError(f"{name} takes a tensor of the CPU")
        returns = func._schema.returns
        view = bool(returns) and returns[0].alias_info is not None and not returns[0].alias_info.is_write
        if on_device and not view and name != "aten.empty":  # which gives a device nothing to do
            self.counted[name] += 1
        return result


class Alone:
    """What an iteration asks of its Trainer, and of its strategy."""

    max_steps, log_every_n_steps, world_size, global_rank, global_step = 1000, 100, 1, 0, 0
    callbacks: tuple[()] = ()
    datamodule = None

    def __init__(self, module: LitResNet) -> None:
        self.strategy = self
        self.optimizer = module.configure_optimizers()
        wrapped = LightningOptimizer(self.optimizer)
        wrapped._strategy = self  # pyright: ignore[reportAttributeAccessIssue]
        self._lightning_optimizers = [wrapped]

    def optimizer_step(self, optimizer: torch.optim.Optimizer, closure: Any, **_: Any) -> None:
        """A step."""
        optimizer.step()
        self.global_step += 1

    def backward(self, loss: Tensor, *_: Any) -> None:
        """The gradient."""
        loss.backward()

    def reduce(self, count: Tensor, reduce_op: str) -> Tensor:
        """Of one device."""
        return count


def trained(module: LitResNet) -> Alone:
    module.to(META).train()
    trainer = Alone(module)
    module._trainer = trainer  # pyright: ignore[reportAttributeAccessIssue]
    module.on_train_start()
    return trainer


def stream_of(data: ImageData) -> Iterator[Any]:
    data.setup("fit")
    return iter(data.data_set.train(data.train, data.mean, data.settings, Place(META), 0, 0))


def digits() -> Iterator[Any]:
    return stream_of(ImageData(source="digits", batch_size=16))


@pytest.fixture
def photographs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for split in ("train", "val"):
        for name in ("n01", "n02"):
            folder = tmp_path / split / name
            folder.mkdir(parents=True)
            noise = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
            Image.fromarray(noise).save(folder / "a.JPEG")
    sizes = Photographs(short_side=(36, 40), crop=32, test_short_side=36, workers=0)
    return stream_of(ImageData(source="imagenet", root=str(tmp_path), photographs=sizes, batch_size=4))


DIGITS = {"num_classes": 10, "in_channels": 1}
NETS = {
    "residual": {"depth": 8, **DIGITS},
    "plain": {"depth": 8, "shortcut": "none", **DIGITS},
    "gated": {"depth": 8, "gate": "exclusive", **DIGITS},
    "highway": {"depth": 8, "block": "highway", **DIGITS},
    "pre-activation": {"depth": 11, "block": "bottleneck", "order": "full", "shortcut": "B", **DIGITS},
    "dropout": {"depth": 8, "gate": "dropout", **DIGITS},
}


@pytest.mark.parametrize(
    ("net", "options"),
    [*((net, {}) for net in NETS), ("residual", {"bn_group": 8}), ("dropout", {"speed": Speed(recompute=True)})],
    ids=str,
)
def test_iterations_wait_for_nothing_until_the_window_ends(net: str, options: dict[str, Any]):
    module = LitResNet(NetConfig(**NETS[net]), rate=Rate(warmup_lr=0.01), **options)
    trainer, batches = trained(module), digits()
    with Operators():
        for batch in islice(batches, 3):
            module._iterate(batch)
        assert trainer.global_step == 3
        trainer.log_every_n_steps = 4
        with pytest.raises((RuntimeError, NotImplementedError), match="meta|item"):
            module._iterate(next(batches))
    assert trainer.global_step == 4, "it is the end of the window that asks"


def test_photographs_and_measured_signals_wait_for_nothing(photographs: Iterator[Any], monkeypatch: pytest.MonkeyPatch):
    net = NetConfig("imagenet", 18, "B", num_classes=2)
    module, asked = LitResNet(net, signals_every=2), []
    monkeypatch.setattr(Listening, "signals", lambda listening: asked.append(len(listening.gradients)) or [])
    trainer = trained(module)
    with Operators():
        for batch in islice(photographs, 2):
            module._iterate(batch)
    assert (trainer.global_step, asked) == (2, [16])


@pytest.mark.parametrize(
    "planted",
    [lambda x: x * x.mean().item(), lambda x: x + x.cpu().mean(), lambda x: x[x > 0].sum() + x, lambda x: x + SHIFT],
    ids=["item", "cpu", "mask", "a tensor of the CPU"],
)
def test_a_wait_that_is_planted_is_found(planted: Any, monkeypatch: pytest.MonkeyPatch):
    class Waiting(nn.Module):
        forward = staticmethod(planted)

    module = LitResNet(NetConfig(**NETS["residual"]))
    module.net.get_submodule("layer2.0").add_module("relu", Waiting())
    trained(module)
    with Operators(), pytest.raises((RuntimeError, NotImplementedError)):
        module._iterate(next(digits()))


SHIFT = torch.ones(1)


@pytest.mark.parametrize(
    ("net", "operators", "compiled"),
    [
        ({"depth": 20}, 196, 33),
        ({"depth": 56}, 484, 33),
        ({"family": "imagenet", "depth": 50, "shortcut": "B"}, 434, 33),
    ],
    ids=["ResNet-20", "ResNet-56", "ResNet-50"],
)
def test_the_operators_of_an_iteration_are_those_of_the_docs(net: dict[str, Any], operators: int, compiled: int):
    """The second iteration on images of 32x32 in memory, from the draw of a batch to SGD over all weights at once.

    Compiled, the net is one graph forward and one backward, each of which a CUDA graph launches at once.
    """
    module = LitResNet(NetConfig(**net))
    trainer = trained(module)
    for group in trainer.optimizer.param_groups:
        group["foreach"] = True  # as on a GPU
    images, labels = torch.zeros(50, 3, 32, 32, dtype=torch.uint8, device=META), torch.zeros(50, device=META).long()
    batches = BatchStream(images, labels, CropFlip(torch.zeros(3, 32, 32, device=META)), 8, 0)
    module._iterate(next(batches))
    with Operators() as counting:
        module._iterate(next(batches))
    assert counting.counted.total() == operators
    weights, (batch, _) = [p for p in module.net.parameters() if p.requires_grad], next(batches)
    with Operators() as of_net:
        logits = module.net(batch)
        torch.autograd.grad(logits, weights, torch.empty_like(logits))
    of_net.counted.pop("aten.empty_like", None)
    assert 2 + operators - of_net.counted.total() == compiled, "a graph forward and one backward in place of the net's"
    assert f"| {module.config} | {operators} | {compiled} |" in (ROOT / "docs" / "speed.md").read_text()
    if module.config.depth == 56:  # compiling takes long, and its blocks are those of 20 layers
        return
    graphs: list[int] = []

    def counted(graph: Any, _: Any) -> Any:
        return make_boxed_func(lambda *values: (graphs.append(1), graph(*values))[1])

    module.net.compile(backend=aot_autograd(fw_compiler=counted, bw_compiler=counted))
    module._iterate(next(batches))
    assert len(graphs) == 2


# What adds in no fixed order on a GPU, and what `trainer.deterministic` refuses for that: torch's list of such
# operators, by the names that autograd has for their gradients, as far as a net of ours could have them.
NO_ORDER = {
    "AdaptiveAvgPool2DBackward0",
    "AvgPool3DBackward0",
    "UpsampleBilinear2DBackward0",
    "ReflectionPad2DBackward0",
}


@pytest.mark.parametrize(
    ("net", "size"),
    [
        *((config, 32) for config in NETS.values()),
        ({"family": "imagenet", "depth": 50, "shortcut": "B"}, 224),
        ({"family": "vgg", "depth": 16, "shortcut": "none"}, 224),
    ],
)
def test_gradients_are_added_in_a_fixed_order(net: dict[str, Any], size: int):
    """So a run on a GPU may ask for `trainer.deterministic`; but not VGG, whose last pool is for images of any size."""
    config = NetConfig(**net)
    with META:
        logits = build(config)(torch.zeros(2, config.in_channels, size, size))
    todo, names = [logits.grad_fn], set()
    while todo:
        node = todo.pop()
        if node is not None and node not in names:
            names.add(node)
            todo += [following for following, _ in node.next_functions]
    assert ({node.name() for node in names} & NO_ORDER != set()) == (config.family == "vgg")


@pytest.fixture
def pinned(monkeypatch: pytest.MonkeyPatch) -> list[torch.Size]:
    """The shapes of the tensors whose memory is pinned, which fake tensors cannot do."""
    shapes: list[torch.Size] = []
    monkeypatch.setattr(Tensor, "is_pinned", lambda tensor: False)
    monkeypatch.setattr(Tensor, "pin_memory", lambda tensor: shapes.append(tensor.shape) or tensor)
    return shapes


def test_copies_to_a_gpu_come_from_pinned_memory(pinned: list[torch.Size]):
    """For other memory the driver may wait for the GPU first."""
    with FakeTensorMode(), torch.device("cuda"):
        images, labels = torch.zeros(50, 3, 32, 32, dtype=torch.uint8), torch.zeros(50, dtype=torch.long)
        batches = BatchStream(images, labels, CropFlip(torch.zeros(3, 32, 32)), 8, 0)
        next(batches)
        assert pinned == [(50,), (2, 8)], "the order of a pass, and the views of a batch"
        next(batches)
        assert pinned == [(50,), (2, 8), (2, 8)]
        assert sent(np.zeros(3), torch.device("cuda")).device.type == "cuda"
    assert sent(np.zeros(3), torch.device("cpu")).shape == (3,)
    assert len(pinned) == 4, "only for a GPU"


ASKED = """
import torch
asked = []
for name in ("_cuda_getDeviceCount", "_cuda_init"):
    def ask(*words, name=name, real=getattr(torch._C, name)):
        asked.append(name)
        return real(*words)
    setattr(torch._C, name, ask)
import lit_resnet.launch.preload
print(asked)
"""


def test_the_fork_server_asks_no_gpu():
    """A process that has asked CUDA for anything cannot fork runs that use it."""
    if not hasattr(torch._C, "_cuda_getDeviceCount"):
        pytest.skip("this torch is built without CUDA")
    done = subprocess.run([sys.executable, "-c", ASKED], capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("[]\n", 0), done.stderr


def test_batches_and_forward_passes_on_a_gpu_stay_there(pinned: list[torch.Size]):
    """On fake tensors, whose operators refuse a tensor of another device as a GPU does."""
    with FakeTensorMode(), torch.device("cuda"):
        images, labels = torch.zeros(50, 3, 32, 32, dtype=torch.uint8), torch.zeros(50, dtype=torch.long)
        mean = torch.zeros(3, 32, 32)
        for name, config in NETS.items():
            net = build(NetConfig(**config | {"in_channels": 3}))
            batch = next(BatchStream(images, labels, CropFlip(mean), 8, 0))
            trained_on = F.cross_entropy(net(batch[0]), batch[1])
            judged = next(iter(EvalBatches(images, labels, mean, 8)))
            logits = net.eval()(judged[0])
            assert {tensor.device.type for tensor in (trained_on, logits, *batch, *judged)} == {"cuda"}, name
        with pytest.raises(DataDependentOutputException):
            logits.sum().item()
        with pytest.raises(RuntimeError, match="device"):
            _ = logits + torch.zeros(8, 10, device="cpu")


def test_probes_and_views_on_a_gpu_stay_there():
    """Layer responses read values only when all batches are through; views bring back one score an image and class."""
    with FakeTensorMode():
        with torch.device("cuda"):
            net = build(NetConfig("imagenet", 18, "A", num_classes=5)).eval()
            batches = [(torch.zeros(2, 3, 64, 64), torch.zeros(2, dtype=torch.long))] * 2
            mean = torch.zeros(3, 1, 1)
        with pytest.raises(DataDependentOutputException, match="_local_scalar_dense"):
            responses(net, batches)
        images = [torch.zeros(3, 70, 80, dtype=torch.uint8)] * 2
        for kind in ("center", "ten-crop", "dense"):
            found = scores(net, mean, View(kind, short_side=70, crop=64), images, batch_size=20)
            assert (found.shape, found.device.type) == ((2, 5), "cpu")
