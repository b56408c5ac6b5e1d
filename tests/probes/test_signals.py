"""Signals on their way forward and back: the right numbers, and no trace of the listening."""

import copy

import pytest
import torch
from torch.nn.functional import cross_entropy

from lit_resnet.nets import NetConfig, build
from lit_resnet.probes.signals import Listening

IMAGES = torch.randn(16, 3, 8, 8, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(16) % 10


@pytest.mark.parametrize("shortcut", ["none", "A"])
def test_variance_and_gradient_of_each_response(shortcut: str):
    net = build(NetConfig(depth=8, shortcut=shortcut)).train()
    other = copy.deepcopy(net)
    with Listening(net) as listening:
        cross_entropy(net(IMAGES), LABELS).backward()
    # Another way: the response is BN's output; a zero that is added to it has the same gradient.
    responses, zeros = {}, {}

    def add_zero(name: str):
        def hook(module, inputs, output):
            responses[name], zeros[name] = output.detach().clone(), torch.zeros_like(output, requires_grad=True)
            return output + zeros[name]

        return hook

    for name, bn in other.layers():
        bn.register_forward_hook(add_zero(name))
    cross_entropy(other(IMAGES), LABELS).backward()
    signals = listening.signals()
    assert [signal.name for signal in signals] == list(responses)
    for signal in signals:
        assert signal.variance == pytest.approx(responses[signal.name].var(correction=0).item(), rel=1e-5)
        assert signal.gradient == pytest.approx(zeros[signal.name].grad.norm().item(), rel=1e-4)


@pytest.mark.parametrize("recompute", [False, True])
def test_listening_changes_nothing_and_leaves_nothing(recompute: bool):
    quiet = build(NetConfig(depth=20)).train()
    heard = copy.deepcopy(quiet)
    heard.recompute = recompute
    before = copy.deepcopy(quiet.state_dict())
    cross_entropy(quiet(IMAGES), LABELS).backward()
    with Listening(heard) as listening:
        cross_entropy(heard(IMAGES), LABELS).backward()
    again = build(NetConfig(depth=20)).train()
    again.load_state_dict(before)
    with Listening(again) as expected:
        cross_entropy(again(IMAGES), LABELS).backward()
    assert listening.signals() == expected.signals()
    assert len(listening.signals()) == 19
    assert not any(module._forward_hooks for module in heard.modules())
    assert all(torch.equal(a.grad, b.grad) for a, b in zip(quiet.parameters(), heard.parameters(), strict=True))
    assert all(torch.equal(a, b) for a, b in zip(quiet.buffers(), heard.buffers(), strict=True))
