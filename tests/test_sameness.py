"""Three questions about two configs, each answered by the first key that differs."""

import copy
from typing import Any

import pytest

from lit_resnet.sameness import digest, may_resume, same_run, setting, trained_alike

CONFIG = {
    "seed_everything": 0,
    "model": {
        "net": {"family": "cifar", "depth": 20, "shortcut": "A", "block": "paper"},
        "rate": {"lr": 0.1},
        "sgd": {"weight_decay": 1e-4},
        "compile": False,
    },
    "data": {"source": "cifar10", "root": "/here", "batch_size": 128, "photographs": {"workers": 4, "crop": 224}},
    "trainer": {"max_steps": 64000, "precision": "32-true", "accelerator": "cpu"},
}


def changed(key: str, value: Any) -> dict[str, Any]:
    config = copy.deepcopy(CONFIG)
    *parents, leaf = key.split(".")
    place = config
    for parent in parents:
        place = place.setdefault(parent, {})
    place[leaf] = value
    return config


@pytest.mark.parametrize(
    ("key", "value", "same", "resumed", "alike"),
    [
        ("data.photographs.workers", 8, True, True, True),
        ("data.root", "/there", True, False, True),
        ("seed_everything", 1, False, False, True),
        ("model.net.depth", 56, False, False, True),
        ("model.net.shortcut", "none", False, False, True),
        ("model.net.gate", "exclusive", False, False, True),
        ("model.net.gate_value", -6, False, False, True),
        ("model.net.order", "full", False, False, True),
        ("model.compile", True, False, False, True),
        ("model.rate.warmup_lr", 0.01, False, False, True),
        ("model.sgd.decay_gates", False, False, False, True),
        ("model.sgd.weight_decay", 5e-4, False, False, False),
        ("trainer.accelerator", "gpu", False, False, True),
        ("model.net.family", "imagenet", False, False, False),
        ("model.rate.lr", 0.2, False, False, False),
        ("data.batch_size", 64, False, False, False),
        ("trainer.max_steps", 100, False, False, False),
        ("trainer.precision", "bf16-mixed", False, False, False),
        ("task", "detection", False, False, False),
    ],
)
def test_what_makes_a_difference(key: str, value: Any, same: bool, resumed: bool, alike: bool):
    other = changed(key, value)
    for question, yes in ((same_run, same), (may_resume, resumed), (trained_alike, alike)):
        assert question(CONFIG, CONFIG) == ""
        answer = question(CONFIG, other)
        assert (answer == "") == yes
        assert yes or answer.startswith(f"{key} ("), "the first key, with both values"
    assert (digest(CONFIG) == digest(other)) == same
    assert (setting(CONFIG) == setting(other)) == alike


def test_detectors_on_nets_of_two_families_are_compared():
    one, other = CONFIG | {"task": "detection"}, changed("model.net.family", "vgg") | {"task": "detection"}
    assert trained_alike(one, other) == ""
    assert setting(one) == setting(other)
    assert trained_alike(one, changed("model.net.stride_on", "3x3") | {"task": "detection"})


def test_what_may_differ_need_not_be_said():
    assert trained_alike(CONFIG, changed("model.speed", {"recompute": True})) == ""
    assert setting(CONFIG) == setting(changed("model.speed", {"recompute": True}))
