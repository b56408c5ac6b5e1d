"""The least work of a step, counted by hand; and what follows from it."""

import time

import pytest
import torch
from torch import nn

from lit_resnet.nets import NetConfig, build
from lit_resnet.probes import limits, timing
from lit_resnet.probes.complexity import complexity
from lit_resnet.probes.limits import Hardware, Work, hardware, least_work

CPU = torch.device("cpu")


def test_least_work_by_hand():
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1, bias=False),
        nn.BatchNorm2d(4),
        nn.Conv2d(4, 2, 1, stride=2, bias=False),
        nn.Flatten(),
        nn.Linear(8, 5),
    )
    outputs = [2 * 4 * 4 * 4, 2 * 2 * 2 * 2, 2 * 5]  # of two images of 4x4 pixels
    macs = [outputs[0] * 27, outputs[1] * 4, outputs[2] * 8]
    weights = 4 * 27 + 2 * 4 + 2 * 4 + 8 * 5 + 5
    for dtype, size in ((torch.float32, 4), (torch.bfloat16, 2)):
        work = least_work(net, (2, 3, 4, 4), dtype)
        assert work.bytes == 5 * size * sum(outputs) + 7 * 4 * weights
        assert work.macs == 2 * macs[0] + 3 * macs[1] + 3 * macs[2]


@pytest.mark.parametrize("config", [NetConfig(depth=20), NetConfig("imagenet", 50, "B")])
def test_multiply_adds_are_three_times_those_of_a_forward_pass(config: NetConfig):
    net, side = build(config), 32 if config.family == "cifar" else 224
    first = net.conv1.weight.numel() * (side // net.conv1.stride[0]) ** 2
    before = net.conv1.weight.clone()
    assert least_work(net, (4, 3, side, side), torch.float32).macs == 4 * (
        3 * complexity(net, (3, side, side)).macs - first
    )
    assert torch.equal(net.conv1.weight, before)
    assert not any(module._forward_hooks for module in net.modules())


def test_the_longer_of_the_two_is_the_limit():
    work = Work(bytes=100, macs=1000)
    assert Hardware(bytes=10, macs=1000).seconds(work) == 10
    assert Hardware(bytes=10, macs=1000).bound(work) == "memory"
    assert Hardware(bytes=100, macs=100).seconds(work) == 10
    assert Hardware(bytes=100, macs=100).bound(work) == "arithmetic"


def test_hardware_is_measured(monkeypatch):
    monkeypatch.setattr(limits, "SECONDS", 0.01)
    monkeypatch.setitem(limits.MATRIX_SIDE, "cpu", 256)
    found = hardware(CPU, torch.float32)
    assert 1e8 < found.bytes < 1e13
    assert 1e7 < found.macs < 1e15


def test_rounds_are_seconds_of_one_call():
    calls: list[float] = []

    def work() -> None:
        calls.append(time.perf_counter())
        time.sleep(0.01)

    measured = timing.rounds(work, CPU, seconds=0.03)
    assert len(measured) == timing.ROUNDS
    assert all(seconds >= 0.01 for seconds in measured)
    assert sum(measured) < calls[-1] - calls[0] + 1
    assert len(timing.rounds(work, CPU, seconds=0)) == timing.ROUNDS, "one call is the least"
