"""The paper's sentences, looked for in made-up runs: in both directions, with one seed, with five, and with gaps."""

import csv
import io
import re
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from lab import METRICS, NET
from rich.console import Console

from lit_resnet import paper
from lit_resnet.errors import InputError
from lit_resnet.grid.asked import Asked
from lit_resnet.grid.grid import load
from lit_resnet.report import claims, runs
from lit_resnet.report.claims import alike, sentences
from lit_resnet.runfolder import predictions
from lit_resnet.runfolder.records import SIGNALS

PAPERS = {"steps": 64_000, "log_every": 3200}
PLAIN = {"shortcut": "none"}
IMAGENET = {"family": "imagenet", "data": "photos"}  # nobody knows how many images that is
PAPERS_IMAGENET = {"family": "imagenet", "data": "imagenet", "steps": 600_000, "log_every": 30_000}
WARM = {"warmup_lr": 0.01, "warmup_steps": 400}
HIGHWAY = {"block": "highway", "gate": "exclusive", "gate_value": -4, "order": "relu-before"}
DETECTOR = {"detector": True}
ON_VGG = DETECTOR | {"family": "vgg", "depth": 16, "shortcut": "none"}
ON_RESNET = DETECTOR | {"family": "imagenet", "depth": 101, "shortcut": "B"}
VOC, COCO = {"data": "VOC 07+12"}, {"data": "COCO 2014"}


def finish(lab, cell, seed=0, *, response=None, spread=None, judged=None, images=None, jitter=0.01, **net):
    """A run like Lab.finish; its errors differ a little from seed to seed.

    Args:
        response: Std of the response of each of its layers.
        spread: Orders of magnitude by which its gradient falls from layer to layer, and its variance by a tenth of it.
        judged: Top-1 and top-5 errors by protocol.
        images: Test images whose predictions it has kept; nets err on the same ones first.
        jitter: Of the errors, a seed.
    """
    if net.pop("detector", False):
        up = jitter * seed
        found = {protocol: (map50 + up, map_ and map_ + up) for protocol, (map50, map_) in (judged or {}).items()}
        return lab.detector(cell, seed, judged=found, **net)
    for key in ("train_error", "test_error"):
        net[key] = net.get(key, 5.0) + jitter * seed
    run = lab.finish(cell, seed, responses=False, **net)
    if judged:
        up = jitter * seed
        found = {protocol: (top1 + up, top5 + up) for protocol, (top1, top5) in judged.items()}
        lab.judge(run, net.get("data", "cifar10"), **found)
    if images:
        wrong = np.arange(images) < round(net["test_error"] * images / 100)
        predictions.keep(run.path, np.zeros(images), wrong)
    layers = range(1, net.get("depth", 20))
    if response:
        lab.responses(run, [(f"layer{i}", response * (1 + 0.01 * seed)) for i in layers])
    if spread is not None:
        rows = [
            {
                "step": step,
                "layer": i,
                "name": f"layer{i}",
                "variance": 10 ** (-0.1 * spread * i),
                "gradient": 10 ** (-spread * i),
            }
            for step in (100, 200)
            for i in layers
        ]
        SIGNALS.replace(run.path, rows)
    return run


def checked(lab, grid):
    """The claims of a grid by their names."""
    return {claim.name: claim for claim in claims.check(runs.read(Asked(grid, root=lab.root))).found}


# For each sentence: nets for which it is true, and what to change so that it is not.
SENTENCES = {
    "plain_34_trains_worse": (
        {
            "a": IMAGENET | PLAIN | {"depth": 18, "train_error": 3},
            "b": IMAGENET | PLAIN | {"depth": 34, "train_error": 60},
        },
        {"b": {"train_error": 1}},
    ),
    "plain_34_validates_worse": (
        {
            "a": IMAGENET | PLAIN | {"depth": 18, "test_error": 5},
            "b": IMAGENET | PLAIN | {"depth": 34, "test_error": 6},
        },
        {"b": {"test_error": 4}},
    ),
    "plain_34_competitive": (
        {"a": PAPERS_IMAGENET | PLAIN | {"depth": 34, "judged": {"ten-crop": (28.5, 10)}}},
        {"a": {"judged": {"ten-crop": (30.5, 11)}}},
    ),
    "longer_training_no_cure": (
        {
            "a": PLAIN | {"steps": 192_000, "log_every": 9600, "train_error": 3},
            "b": PLAIN | {"steps": 192_000, "log_every": 9600, "depth": 56, "train_error": 9},
        },
        {"b": {"train_error": 2}},
    ),
    "residual_34_trains_better": (
        {"a": IMAGENET | {"depth": 18, "train_error": 9}, "b": IMAGENET | {"depth": 34, "train_error": 3}},
        {"b": {"train_error": 10}},
    ),
    "residual_34_validates_better": (
        {"a": IMAGENET | {"depth": 18, "test_error": 6}, "b": IMAGENET | {"depth": 34, "test_error": 5}},
        {"b": {"test_error": 7}},
    ),
    "residual_34_gains": (
        {
            "a": PAPERS_IMAGENET | {"depth": 18, "jitter": 0.3, "judged": {"ten-crop": (28.0, 9)}},
            "b": PAPERS_IMAGENET | {"depth": 34, "jitter": 0.3, "judged": {"ten-crop": (25.2, 8)}},
        },
        {"b": {"judged": {"ten-crop": (32, 9)}}},
    ),
    "shortcuts_help_34": (
        {
            "a": IMAGENET | PLAIN | {"depth": 34, "train_error": 9, "test_error": 8},
            "b": IMAGENET | {"depth": 34, "train_error": 4},
        },
        {"b": {"test_error": 9}},
    ),
    "shortcuts_gain_34": (
        {
            "a": PAPERS_IMAGENET | PLAIN | {"depth": 34, "jitter": 0.3, "judged": {"ten-crop": (28.5, 10)}},
            "b": PAPERS_IMAGENET | {"depth": 34, "jitter": 0.3, "judged": {"ten-crop": (25, 8)}},
        },
        {"b": {"judged": {"ten-crop": (32, 9)}}},
    ),
    "twins_18_comparable": (
        {"a": IMAGENET | PLAIN | {"depth": 18, "test_error": 5.01}, "b": IMAGENET | {"depth": 18}},
        {"b": {"test_error": 4.5}},
    ),
    "residual_18_converges_faster": (
        {
            "a": IMAGENET | PLAIN | {"depth": 18, "train_error": 60, "start": 60},
            "b": IMAGENET | {"depth": 18, "train_error": 3},
        },
        {"b": {"train_error": 50}},  # in the end it is better still
    ),
    "options_differ_little": (
        {
            "a": IMAGENET | {"depth": 34, "shortcut": "A", "test_error": 5.0},
            "b": IMAGENET | {"depth": 34, "shortcut": "B", "test_error": 4.8},
            "c": IMAGENET | {"depth": 34, "shortcut": "C", "test_error": 4.6},
        },
        {"c": {"test_error": 3.7}},  # not a little
    ),
    "depth_gains_up_to_152": (
        {
            "a": IMAGENET | {"depth": 34, "shortcut": "B", "test_error": 9},
            "b": IMAGENET | {"depth": 50, "shortcut": "B", "test_error": 8},
            "c": IMAGENET | {"depth": 152, "shortcut": "B", "test_error": 7},
        },
        {"c": {"test_error": 8.5}},
    ),
    "depth_gains_in_all_measures": (
        {
            "a": IMAGENET | {"depth": 34, "shortcut": "B", "judged": {"ten-crop": (25, 7), "multi-scale": (22, 6)}},
            "b": IMAGENET | {"depth": 50, "shortcut": "B", "judged": {"ten-crop": (23, 6), "multi-scale": (21, 5)}},
        },
        {"b": {"judged": {"ten-crop": (23, 6), "multi-scale": (21, 8)}}},
    ),
    "bottlenecks_gain_considerably": (
        {
            "a": IMAGENET | {"depth": 34, "shortcut": "B", "test_error": 9},
            "b": IMAGENET | {"depth": 50, "shortcut": "B", "test_error": 7.5},
        },
        {"b": {"test_error": 8.5}},
    ),
    "one_152_beats_ensembles": (
        {"a": PAPERS_IMAGENET | {"depth": 152, "shortcut": "B", "judged": {"multi-scale": (19.4, 4.5)}}},
        {"a": {"judged": {"multi-scale": (19.4, 5.0)}}},
    ),
    "plain_bottlenecks_degrade": (
        {
            "a": IMAGENET | PLAIN | {"depth": 50, "train_error": 3},
            "b": IMAGENET | PLAIN | {"depth": 101, "train_error": 9},
        },
        {"b": {"train_error": 2}},
    ),
    "plain_deeper_trains_worse": (
        {"a": PLAIN | {"train_error": 3}, "b": PLAIN | {"depth": 56, "train_error": 9}},
        {"b": {"train_error": 2}},
    ),
    "plain_deeper_tests_worse": (
        {"a": PLAIN | {"test_error": 5}, "b": PLAIN | {"depth": 56, "test_error": 9}},
        {"b": {"test_error": 2}},
    ),
    "plain_110_error_above": (
        {"a": PLAIN | PAPERS | {"depth": 110, "train_error": 70, "test_error": 71}},
        {"a": {"train_error": 55}},
    ),
    "residual_deeper_trains_no_worse": (
        {"a": {"train_error": 3}, "b": {"depth": 56, "train_error": 3.02}},
        {"b": {"train_error": 4}},
    ),
    "residual_deeper_trains_better": (
        {"a": {"train_error": 3}, "b": {"depth": 56, "train_error": 2}},
        {"b": {"train_error": 4}},
    ),
    "residual_trains_better": (
        {"a": PLAIN | {"depth": 56, "train_error": 9}, "b": {"depth": 56, "train_error": 3}},
        {"b": {"train_error": 10}},
    ),
    "residual_tests_better": (
        {"a": PLAIN | {"depth": 56, "test_error": 9}, "b": {"depth": 56, "test_error": 3}},
        {"b": {"test_error": 10}},
    ),
    "residual_deeper_tests_better": (
        {"a": {"test_error": 9}, "b": {"depth": 56, "test_error": 8}, "c": {"depth": 110, "test_error": 7}},
        {"c": {"test_error": 12}},
    ),
    "resnet_110_among_the_best": (
        {"a": PAPERS | {"depth": 110, "test_error": 6.5}},
        {"a": {"test_error": 8.8}},
    ),
    "resnet_1202_train_error_below": (
        {"a": PAPERS | {"depth": 1202, "train_error": 0.02}},
        {"a": {"train_error": 0.2}},
    ),
    "resnet_1202_overfits": (
        {
            "a": {"depth": 110, "train_error": 0.1, "test_error": 6.5},
            "b": {"depth": 1202, "train_error": 0.12, "test_error": 8},
        },
        {"b": {"train_error": 9}},
    ),
    "warmup_ends_early": (
        {"a": WARM | {"depth": 110}},
        {"a": {"warmup_steps": 1200}},
    ),
    "cold_110_converges_late": (
        {"a": {"steps": 64_000, "log_every": 400, "start": 300, "depth": 110}},
        {"a": {"start": 90}},
    ),
    "warmup_changes_little": (
        {
            "a": {"depth": 110, "test_error": 6.5, "images": 10_000},
            "b": WARM | {"depth": 110, "test_error": 6.5, "images": 10_000},
        },
        {"b": {"test_error": 5.5}},
    ),
    "options_differ_little_on_cifar": (
        {"a": {"test_error": 8.0}, "b": {"shortcut": "B", "test_error": 8.1}},
        {"b": {"test_error": 5.0}},
    ),
    "residual_responses_smaller": (
        {"a": PLAIN | {"response": 0.8}, "b": {"response": 0.5}},
        {"b": {"response": 0.9}},
    ),
    "residual_deeper_responses_smaller": (
        {"a": {"response": 0.5}, "b": {"depth": 56, "response": 0.3}},
        {"b": {"response": 0.6}},
    ),
    "plain_signals_healthy": (
        {"a": PLAIN | {"spread": 0.05}, "b": PLAIN | {"depth": 56, "spread": 0.01}},
        {"b": {"spread": 0.1}},
    ),
    "single_layer_no_advantage": (
        {
            "a": PLAIN | {"depth": 56, "test_error": 5.0, "images": 10_000},
            "b": {"depth": 56, "block": "single", "test_error": 5.0, "images": 10_000},
        },
        {"b": {"test_error": 3.0}},
    ),
    "highway_no_gain_beyond_100": (
        {
            "a": HIGHWAY | {"depth": 56, "test_error": 8.5, "images": 10_000},
            "b": HIGHWAY | {"depth": 110, "test_error": 8.5, "images": 10_000},
        },
        {"b": {"test_error": 6.0}},
    ),
    "resnet_detects_better_voc": (
        {
            "a": ON_VGG | VOC | {"judged": {"voc07": (73.2, None)}},
            "b": ON_RESNET | VOC | {"judged": {"voc07": (76.4, None)}},
        },
        {"b": {"judged": {"voc07": (74.0, None)}}},
    ),
    "resnet_detects_better_coco": (
        {
            "a": ON_VGG | COCO | {"jitter": 0.2, "judged": {"coco": (41.5, 21.2)}},
            "b": ON_RESNET | COCO | {"jitter": 0.2, "judged": {"coco": (48.4, 27.2)}},
        },
        {"b": {"judged": {"coco": (48.4, 23)}}},
    ),
    "gain_is_localization_too": (
        {
            "a": ON_VGG | COCO | {"judged": {"coco": (41.5, 21.2)}},
            "b": ON_RESNET | COCO | {"judged": {"coco": (48.4, 27.2)}},
        },
        {"b": {"judged": {"coco": (48.4, 21.0)}}},
    ),
    "failing_shortcuts_fail": (
        {
            "a": PAPERS | {"depth": 110, "gate": "scale", "test_error": 35},
            "b": PAPERS | {"depth": 110, "gate": "exclusive", "gate_value": -3, "test_error": 90},
        },
        {"a": {"test_error": 15}},
    ),
    "scaled_shortcuts_worse": (
        {
            "a": {"depth": 32, "train_error": 20, "test_error": 22},
            "b": {"depth": 32, "gate": "scale", "train_error": 30, "test_error": 33},
            "c": {"depth": 32, "gate": "half", "gate_value": 0.5, "train_error": 25, "test_error": 27},
        },
        {"c": {"train_error": 19}},
    ),
    "exclusive_gates_worse": (
        {
            "a": {"depth": 32, "train_error": 20, "test_error": 22},
            "b": {"depth": 32, "gate": "exclusive", "gate_value": 0, "train_error": 30, "test_error": 33},
            "c": {"depth": 32, "gate": "exclusive", "train_error": 25, "test_error": 27},
        },
        {"c": {"train_error": 19}},
    ),
    "shortcut_gates_worse": (
        {
            "a": {"depth": 32, "train_error": 20, "test_error": 22},
            "b": {"depth": 32, "gate": "shortcut", "train_error": 25, "test_error": 27},
        },
        {"b": {"test_error": 15}},
    ),
    "convolved_shortcuts_worse": (
        {
            "a": {"depth": 110, "train_error": 2, "test_error": 6.6},
            "b": {"depth": 110, "shortcut": "C", "train_error": 9, "test_error": 12},
        },
        {"b": {"test_error": 4.0}},
    ),
    "dropped_shortcuts_worse": (
        {
            "a": {"depth": 110, "train_error": 2, "test_error": 6.6},
            "b": {"depth": 110, "gate": "dropout", "train_error": 40, "test_error": 30},
        },
        {"b": {"test_error": 4.0}},
    ),
    "late_activation_worse": (
        {
            "a": {"depth": 110, "test_error": 6.6},
            "b": {"depth": 110, "order": "bn-after", "test_error": 8.2},
            "c": {"depth": 110, "order": "relu-before", "test_error": 7.8},
        },
        {"c": {"test_error": 4.0}},
    ),
    "preactivation_tests_better": (
        {
            "a": {"depth": 164, "shortcut": "B", "block": "bottleneck", "test_error": 7.9},
            "b": {"depth": 164, "shortcut": "B", "block": "bottleneck", "order": "full", "test_error": 5.4},
        },
        {"b": {"test_error": 11}},
    ),
}


def run_all(lab, nets, seeds):
    for seed in seeds:
        for cell, net in nets.items():
            finish(lab, cell, seed, **net)
    return grid_of(lab, nets)(list(nets), seeds=list(seeds))


def grid_of(lab, nets):
    """What writes a grid of the task of these nets."""
    return lab.detector_grid if any("detector" in net for net in nets.values()) else lab.grid


def changed(name):
    nets, change = SENTENCES[name]
    return {cell: net | change.get(cell, {}) for cell, net in nets.items()}


def test_every_sentence_of_the_paper_is_looked_for():
    printed = [name for name, entry in paper.load()["claims"].items() if "sentence" in entry]
    assert printed == list(claims.CHECKS) == list(SENTENCES)


FAR = "plain_signals_healthy"  # whose limits are so far away that one run tells
# What "like" means is then unknown.
LIKE = (
    *("twins_18_comparable", "residual_34_gains", "shortcuts_gain_34", "residual_deeper_trains_no_worse"),
    *("resnet_1202_overfits", "warmup_changes_little", "single_layer_no_advantage", "resnet_detects_better_coco"),
    "highway_no_gain_beyond_100",
)
ALONE = ("plain_34_competitive", "one_152_beats_ensembles", "warmup_ends_early")  # about a net that only they measure


@pytest.mark.parametrize("name", SENTENCES)
def test_a_sentence_that_is_true_holds(lab, name):
    claim = checked(lab, run_all(lab, SENTENCES[name][0], range(5)))[name]
    assert claim.verdict == "holds", claim.evidence
    assert "n = 5" in claim.evidence
    assert ("p " in claim.evidence) is (name != FAR)
    assert "nan" not in claim.evidence


@pytest.mark.parametrize("name", SENTENCES)
def test_a_sentence_that_is_false_does_not(lab, name):
    claim = checked(lab, run_all(lab, changed(name), range(5)))[name]
    assert claim.verdict == "does not hold", claim.evidence
    assert "against it: " in claim.evidence


@pytest.mark.parametrize("name", SENTENCES)
def test_one_run_of_each_net_gives_no_verdict(lab, name):
    claim = checked(lab, run_all(lab, SENTENCES[name][0], range(1)))[name]
    assert claim.verdict == ("holds" if name == FAR else "not enough runs"), claim.evidence
    which = "as claimed" if name not in LIKE else "no spread to tell by"
    assert (f"one run each, {which}" in claim.evidence) is (name != FAR), claim.evidence
    claim = checked(lab, run_all(lab, changed(name), range(1)))[name]
    assert claim.verdict == ("does not hold" if name == FAR else "not enough runs"), claim.evidence
    other = ("one run each, the other way round", "one run each, not all as claimed", "no spread", "against it: ")
    assert any(words in claim.evidence for words in other), claim.evidence


@pytest.mark.parametrize("name", [name for name in SENTENCES if name not in ALONE])
def test_an_unfinished_net_leaves_a_true_sentence_open(lab, name):
    nets = SENTENCES[name][0]
    detectors = any("detector" in net for net in nets.values())
    other = nets[next(iter(nets))] | {"depth": 50} if detectors else PAPERS | {"depth": 44, "spread": 0.01}
    run_all(lab, {"other": other} | nets, range(5))
    last = list(nets)[-1]
    for seed in range(5):
        lab.run(last, seed).summary_file.unlink()
    asked = {f"model.net.{key}": nets[last].get(key, NET[key]) for key in alike.KIND}
    asked |= {"model.rate.warmup_lr": 0.01} if "warmup_lr" in nets[last] else {}
    grid = grid_of(lab, nets)({"other": {}} | dict.fromkeys(nets) | {last: asked}, seeds=list(range(5)))
    claim = checked(lab, grid)[name]
    assert claim.verdict == "not enough runs", claim.evidence
    assert f"{last} missing" in claim.evidence


def test_sentences_about_other_nets_are_left_out(lab):
    grid = run_all(lab, {"only": {"depth": 44, "response": 0.4, "spread": 0.01}}, range(2))
    assert not checked(lab, grid).keys() & SENTENCES.keys()


def test_sentences_about_cifar_nets_are_not_about_imagenet_nets(lab):
    lab.finish("a", family="imagenet", train_error=1)
    lab.finish("b", family="imagenet", depth=56, train_error=2, shortcut="none")
    lab.finish("c", family="imagenet", depth=20, train_error=3, shortcut="none")
    assert checked(lab, lab.grid(["a", "b", "c"])) == {}


def test_nets_of_two_families_are_not_compared(lab):
    finish(lab, "a", depth=18, test_error=9)
    finish(lab, "b", depth=34, test_error=3, **IMAGENET)
    assert checked(lab, lab.grid(["a", "b"])) == {}


def test_vgg_is_no_plain_twin(lab):
    finish(lab, "vgg", depth=16, family="vgg", test_error=9, spread=0.01, **PLAIN)
    finish(lab, "res", depth=16, test_error=3, **IMAGENET)
    finish(lab, "cifar", depth=16, test_error=3)
    assert checked(lab, lab.grid(["vgg", "res", "cifar"])) == {}


def test_detectors_on_the_papers_nets_are_compared_by_the_metric_in_which_more_is_better(lab):
    for seed, (vgg, resnet) in enumerate([(72.9, 76.0), (73.5, 76.8), (73.2, 76.4)]):
        finish(lab, "VGG-16", seed, jitter=0, **ON_VGG, **VOC, judged={"voc07": (vgg, None)})
        finish(lab, "ResNet-101", seed, jitter=0, **ON_RESNET, **VOC, judged={"voc07": (resnet, None)}, start="other")
        finish(lab, "ResNet-18", seed, detector=True, **VOC, judged={"voc07": (60, None)})
        # The truth of 2012's test images is not public: nobody waits for these numbers.
        finish(lab, "VGG-16-12", seed, **ON_VGG, data="VOC 07++12", setting="12")
        finish(lab, "ResNet-101-12", seed, **ON_RESNET, data="VOC 07++12", setting="12", start="other")
    asked = {"VGG-16": {"model.start": "vgg"}, "ResNet-101": {"model.start": "resnet"}, "ResNet-18": {}}
    asked |= {"VGG-16-12": asked["VGG-16"], "ResNet-101-12": asked["ResNet-101"]}
    grid = lab.detector_grid(asked, seeds=[0, 1, 2])
    (claim,) = checked(lab, grid).values()
    assert claim.verdict == "holds"
    assert claim.evidence == (
        "mAP % (11 points): ResNet-101 76.40±0.40 > VGG-16 73.20±0.30 "
        "(n = 3; margin 1.08, by the spread of five ZF nets (Faster R-CNN's own code); p = 0.024)"
    )
    assert claim.sentence.endswith("higher by more than 3 points than on VGG-16")
    note = claims.check(runs.read(Asked(grid, root=lab.root))).note
    assert "one published std over runs of Faster R-CNN" in note
    assert "ResNet-110" not in note


def test_detectors_of_other_sets_or_nets_are_in_no_sentence(lab):
    finish(lab, "a", **ON_VGG, data="voc:bccd", judged={"voc07": (60, None), "coco": (60, 30)})
    finish(lab, "b", **ON_RESNET, data="voc:bccd", judged={"voc07": (70, None), "coco": (70, 40)})
    finish(lab, "c", **(ON_RESNET | VOC | {"depth": 50}), judged={"voc07": (70, None)})
    finish(lab, "d", **ON_VGG, **VOC, judged={"voc07": (60, None)})
    finish(lab, "e", **ON_RESNET, **VOC, batch_size=8, setting="others", judged={"voc07": (70, None)})
    assert checked(lab, lab.detector_grid(["a", "b", "c", "d", "e"])) == {}


@pytest.mark.parametrize(("grid", "pairs"), [("table7", 2), ("table8", 1)])
def test_the_shipped_grids_of_detectors_are_about_the_paper(grid, pairs):
    found = runs.GridRuns(load(grid), Path(), ())
    assert alike.about_the_paper(found)
    nets = [[(net.family, net.depth) for net in group.nets] for group in alike.groups(found)]
    assert nets == [[("vgg", 16), ("imagenet", 101)]] * pairs


def test_a_detector_that_was_not_judged_so_is_said(lab):
    finish(lab, "a", **ON_VGG, **COCO, judged={"coco": (41.5, 21.2)})
    finish(lab, "b", **ON_RESNET, **COCO)
    found = checked(lab, lab.detector_grid(["a", "b"]))
    assert list(found) == ["resnet_detects_better_coco", "gain_is_localization_too"]
    assert found["resnet_detects_better_coco"].evidence == "mAP@[.5, .95] %: ResNet-101 not measured, VGG-16 21.20"


def test_throughout_the_training_is_in_each_quarter(lab):
    """A plain net that is ahead at first, and behind in the end."""
    nets = {"a": {"depth": 18, "train_error": 20, "start": 90}, "b": {"depth": 34, "train_error": 25, "start": 60}}
    grid = run_all(lab, {cell: net | PLAIN | IMAGENET for cell, net in nets.items()}, range(3))
    claim = checked(lab, grid)["plain_34_trains_worse"]
    assert claim.verdict == "does not hold"
    first, _, third, last = claim.evidence.split("; train error %, ")
    assert " > plain-34 " in first
    assert "against it: plain-18 and plain-34" in first
    assert all(" < plain-34 25." in later for later in (third, last))


def test_a_quarter_is_the_mean_of_its_windows(lab):
    run = finish(lab, "a", depth=18, steps=100, log_every=25, **PLAIN, **IMAGENET)
    finish(lab, "b", depth=34, steps=100, log_every=25, **PLAIN, **IMAGENET)
    rows = [{"step": step, "train_error": step / 2} for step in range(10, 101, 10)]
    rows[4]["train_error"] = float("nan")  # it diverged there, and guesses: 90 %
    METRICS.replace(run.path, rows)
    evidence = checked(lab, lab.grid(["a", "b"]))["plain_34_trains_worse"].evidence
    # windows that end at 10, 20 | 30, 40, 50 | 60, 70 | 80, 90, 100
    found = re.findall(r"(\w+) quarter: plain-18 ([\d.]+)", evidence)
    assert found == [("first", "7.50"), ("second", "41.67"), ("third", "32.50"), ("last", "45.00")]


def test_ten_crops_where_all_that_are_compared_have_them(lab):
    for cell, depth, error in (("a", 18, 9.0), ("b", 34, 8.0)):
        lab.photographs(cell, depth=depth, test_error=error, ten_crop=(error - 2, 1.0))
    grid = lab.grid(["a", "b"])
    evidence = "validation error % (ten crops): ResNet-18 A 7.00 > ResNet-34 A 6.00 (one run each, as claimed)"
    assert checked(lab, grid)["residual_34_validates_better"].evidence == evidence
    centre = "validation error % (centre crop): ResNet-18 A 9.00 > ResNet-34 A 8.00 (one run each, as claimed)"
    lab.judge(lab.run("b"), **{"multi-scale": (5.0, 1.0)})
    assert checked(lab, grid)["residual_34_validates_better"].evidence == centre
    lab.judge(lab.run("b"), data="folder:other", **{"ten-crop": (5.0, 1.0)})
    assert checked(lab, grid)["residual_34_validates_better"].evidence == centre


def test_nets_without_a_finished_run_are_waited_for(lab):
    finish(lab, "other", depth=50, shortcut="B", **IMAGENET)
    asked = {f"model.net.{key}": value for key, value in (IMAGENET | {"shortcut": "A"}).items()}
    grid = lab.grid({"other": {}, "a": asked | {"model.net.depth": 18}, "b": asked | {"model.net.depth": 34}})
    claim = checked(lab, grid)["residual_34_validates_better"]
    assert claim.verdict == "not enough runs"
    assert claim.evidence == "validation error % (centre crop): a missing, b missing"


def test_each_option_is_compared_with_plain_and_with_the_next(lab):
    finish(lab, "plain", depth=34, train_error=9, test_error=8, net="plain-34", **PLAIN, **IMAGENET)
    for option, error in zip("ABC", (5.0, 4.6, 4.3), strict=True):
        finish(lab, option, depth=34, shortcut=option, test_error=error, net=f"34 {option}", **IMAGENET)
    found = checked(lab, lab.grid(["plain", "A", "B", "C"]))
    words = "plain-34 8.00 > 34 A 5.00; plain-34 8.00 > 34 B 4.60; plain-34 8.00 > 34 C 4.30"
    assert words in found["shortcuts_help_34"].evidence
    assert (
        "34 A 5.00 > 34 B 4.60 > 34 C 4.30 (margin 1.00; one run each, as claimed)"
        in found["options_differ_little"].evidence
    )


def test_signals_of_imagenet_nets_are_looked_at(lab):
    finish(lab, "a", depth=34, spread=0.01, **PLAIN, **IMAGENET)
    assert checked(lab, lab.grid(["a"]))["plain_signals_healthy"].verdict == "holds"


def test_the_note_explains_the_verdicts_and_the_words_of_the_sentences(lab):
    finish(lab, "cifar")
    finish(lab, "cifar-56", depth=56)
    note = claims.check(runs.read(Asked(lab.grid(["cifar", "cifar-56"]), root=lab.root))).note
    assert note == f"{claims.NOTE} {sentences.NOTE}"


@pytest.mark.parametrize("up", [0.2, -0.2])
def test_seeds_that_do_not_separate_are_not_enough(lab, up):
    """Whichever way the means lie."""
    for seed, noise in enumerate((-2, 1, 0.5, 2, -1)):
        finish(lab, "a", seed, train_error=50 + noise, **PLAIN)
        finish(lab, "b", seed, train_error=50 + up + noise, depth=56, **PLAIN)
    claim = checked(lab, lab.grid(["a", "b"], seeds=list(range(5))))["plain_deeper_trains_worse"]
    assert claim.verdict == "not enough runs"
    assert "undecided: plain-20 and plain-56 (p = " in claim.evidence


def test_unfinished_seeds_do_not_count(lab):
    for seed in range(3):
        finish(lab, "a", seed, train_error=3, **PLAIN)
    for seed in range(2):
        finish(lab, "b", seed, train_error=9, depth=56, **PLAIN)
    claim = checked(lab, lab.grid(["a", "b"], seeds=list(range(5))))["plain_deeper_trains_worse"]
    assert claim.verdict == "holds"
    assert "n = 2 to 3" in claim.evidence


def test_each_depth_is_compared_with_the_next(lab):
    for cell, depth, error in (("c", 56, 9), ("a", 20, 3), ("b", 32, 5)):
        finish(lab, cell, depth=depth, train_error=error, **PLAIN)
    claim = checked(lab, lab.grid(["c", "a", "b"]))["plain_deeper_trains_worse"]
    assert claim.evidence == ("train error %: plain-20 3.00 < plain-32 5.00 < plain-56 9.00 (one run each, as claimed)")


def test_of_one_run_each_it_says_how_far_other_test_images_blur_the_difference(lab):
    """Nets err on the same images first: 300 of 10,000 are wrong in one alone, a variance of 0.03 - 0.03²."""
    for cell, depth, error in (("a", 20, 9), ("b", 56, 12)):
        finish(lab, cell, depth=depth, test_error=error, images=10_000, **PLAIN)
    claim = checked(lab, lab.grid(["a", "b"]))["plain_deeper_tests_worse"]
    assert claim.verdict == "not enough runs"
    assert claim.evidence == (
        "test error %: plain-20 9.00 < plain-56 12.00 (one run each, as claimed; by test images alone plain-20 and "
        "plain-56 differ by 3.00 (95 %: 2.67 to 3.33))"
    )


OTHERWISE = [
    ({}, {"data": "cifar100"}),
    ({}, {"steps": 1200}),
    ({}, {"batch_size": 64}),
    ({}, {"precision": "bf16-mixed"}),
    ({}, {"block": "single"}),
    ({}, {"setting": "another"}),
]


@pytest.mark.parametrize(("asked", "said"), OTHERWISE)
def test_only_like_is_compared_with_like(lab, asked, said):
    finish(lab, "a", train_error=3)
    finish(lab, "b", train_error=9, depth=56, **said)
    assert checked(lab, lab.grid({"a": {}, "b": asked})) == {}


OTHER_SETTINGS = {
    "model.rate.lr": 0.01,
    "model.bn_group": 64,
    "data.flip": False,
    "data.val_size": 5000,
    "trainer.max_steps": 1200,
    "model.net.stride_on": "3x3",
    "model.net.family": "imagenet",
}


@pytest.mark.parametrize(("key", "value"), OTHER_SETTINGS.items())
def test_an_unfinished_net_of_another_setting_is_not_waited_for(lab, key, value):
    finish(lab, "a", train_error=3)
    deeper = {"model.net.depth": 56}
    assert "residual_deeper_trains_no_worse" in checked(lab, lab.grid({"a": {}, "b": deeper}))
    assert checked(lab, lab.grid({"a": {}, "b": deeper | {key: value}})) == {}


@pytest.mark.parametrize(
    "key", ["speed.channels_last", "speed.compile", "speed.recompute", "signals_every", "rate.warmup_window"]
)
def test_what_changes_no_result_is_compared(lab, key):
    finish(lab, "a", train_error=3)
    finish(lab, "b", train_error=3, depth=56)
    assert "residual_deeper_trains_no_worse" in checked(lab, lab.grid({"a": {}, "b": {f"model.{key}": 1}}))


def test_two_settings_in_one_grid_are_two_comparisons(lab):
    cells = {"a": {}, "b": {}, "a3": {"trainer.max_steps": 1800}, "b3": {"trainer.max_steps": 1800}}
    for cell, asked in cells.items():
        deep = cell.startswith("b")
        finish(lab, cell, depth=56 if deep else 20, train_error=9 if deep else 3, steps=1800 if asked else 600, **PLAIN)
    claim = checked(lab, lab.grid(cells))["plain_deeper_trains_worse"]
    assert claim.evidence.startswith("train error %: a 3.00 < b 9.00; a3 3.00 < b3 9.00 (")


def test_with_and_without_warmup_the_papers_way_is_compared(lab):
    nets = {
        "r56": {"depth": 56, "train_error": 0.3, "test_error": 9.0},
        "r56-warm": WARM | {"depth": 56, "train_error": 95, "test_error": 95},
        "r110-cold": {"depth": 110, "train_error": 90.0, "test_error": 90.0},
        "r110": WARM | {"depth": 110, "train_error": 0.1, "test_error": 6.5},
    }
    found = checked(lab, run_all(lab, nets, range(3)))
    assert found["residual_deeper_tests_better"].evidence.startswith("test error %: r56 9.01±0.01 > r110 6.51±0.01 (")
    assert found["residual_deeper_trains_no_worse"].verdict == "holds"
    assert found["warmup_changes_little"].verdict == "does not hold"
    assert found["warmup_changes_little"].evidence.startswith("test error %: r110-cold 90.01±0.01 > r110 6.51±0.01 (")


def test_a_warm_up_of_so_many_iterations_says_nothing_of_how_many_it_takes(lab):
    for cell, error in (("a", 80.0), ("b", 100)):
        finish(lab, cell, depth=110, **WARM, config={"model": {"rate": {"warmup_error": error}}})
    assert list(checked(lab, lab.grid(["a"]))) == ["warmup_ends_early"]
    assert checked(lab, lab.grid(["b"])) == {}


def test_without_a_warm_one_the_cold_one_is_compared(lab):
    grid = run_all(lab, {"a": {"depth": 56, "test_error": 9}, "b": {"depth": 110, "test_error": 6.5}}, range(3))
    found = checked(lab, grid)
    assert found["residual_deeper_tests_better"].verdict == "holds"
    assert "warmup_changes_little" not in found


def test_each_shortcut_option_has_its_own_line(lab):
    nets = {}
    for option, deeper in (("A", 7.0), ("B", 11.0)):
        nets[f"{option}20"] = {"shortcut": option, "test_error": 9.0, "net": f"ResNet-20 {option}"}
        nets[f"{option}56"] = {"shortcut": option, "depth": 56, "test_error": deeper, "net": f"ResNet-56 {option}"}
    claim = checked(lab, run_all(lab, nets, range(3)))["residual_deeper_tests_better"]
    assert claim.verdict == "does not hold"
    assert claim.evidence.startswith(
        "test error %: ResNet-20 A 9.01±0.01 > ResNet-56 A 7.01±0.01; ResNet-20 B 9.01±0.01 < ResNet-56 B 11.01±0.01"
    )


@pytest.mark.parametrize(
    ("data", "steps", "speaks"),
    [
        ("cifar10", 64_000, True),
        ("folder:cifar10-jpeg", 64_000, True),
        ("folder:CIFAR-10", 64_000, True),
        ("cifar10", 32_000, False),
        ("cifar100", 64_000, False),
        ("folder:cifar100", 64_000, False),
        ("digits", 64_000, False),
    ],
)
def test_the_papers_percentages_are_for_its_training(lab, data, steps, speaks):
    how = {"data": data, "steps": steps, "log_every": steps // 20}
    finish(lab, "plain", depth=110, train_error=70, test_error=70, **PLAIN, **how)
    finish(lab, "res", depth=110, **how)
    finish(lab, "huge", depth=1202, train_error=0.05, **how)
    found = checked(lab, lab.grid(["plain", "res", "huge"]))
    assert ("plain_110_error_above" in found) is ("resnet_1202_train_error_below" in found) is speaks
    assert "resnet_1202_overfits" in found
    if speaks:
        assert "60 %" in found["plain_110_error_above"].sentence
        assert "plain-110 70.00 > 60" in found["plain_110_error_above"].evidence


@pytest.mark.parametrize(
    ("how", "margin"),
    [
        (PAPERS | {"data": "cifar10"}, "margin 0.44"),  # of the paper's five ResNet-110
        (PAPERS | {"data": "cifar100"}, "margin 0.83"),  # of these runs
        ({"data": "cifar10"}, "margin 0.83"),
        (PAPERS | {"data": "cifar10", "batch_size": 64}, "margin 0.83"),
    ],
)
def test_a_published_spread_is_for_the_data_and_the_length_that_it_is_of(lab, how, margin):
    for seed, noise in enumerate((-0.4, 0, 0.4, -0.1, 0.1)):
        finish(lab, "a", seed, depth=110, test_error=8 + noise, **how)
        finish(lab, "b", seed, depth=110, test_error=8 + noise, **how, **WARM)
    claim = checked(lab, lab.grid(["a", "b"], seeds=list(range(5))))["warmup_changes_little"]
    assert margin in claim.evidence


def test_failing_to_find_a_difference_is_no_proof_of_likeness(lab):
    """Two nets whose seeds scatter by far more than the margin."""
    for seed, noise in enumerate((-2, 1, 0.5, 2, -1)):
        finish(lab, "a", seed, depth=110, test_error=8 + noise, **PAPERS)
        finish(lab, "b", seed, depth=110, test_error=8 - noise, **PAPERS, **WARM)
    claim = checked(lab, lab.grid(["a", "b"], seeds=list(range(5))))["warmup_changes_little"]
    assert claim.verdict == "not enough runs"
    assert "margin 0.44" in claim.evidence


def test_a_diverged_run_counts_as_a_guess(lab):
    finish(lab, "a", train_error=3, response=0.5, **PLAIN)
    finish(lab, "b", depth=56, train_error=float("nan"), test_error=90.0, diverged=True, response=float("nan"), **PLAIN)
    finish(lab, "c", depth=56, train_error=2, response=0.4)
    found = checked(lab, lab.grid(["a", "b", "c"]))
    assert found["plain_deeper_trains_worse"].evidence == (
        "train error %: plain-20 3.00 < plain-56 90.00 (one run each, as claimed)"
    )
    assert found["residual_responses_smaller"].verdict == "not enough runs"
    assert not any("nan" in claim.evidence for claim in found.values())


@pytest.mark.parametrize("column", ["variance", "gradient"])
@pytest.mark.parametrize("signal", [0.0, 1e-5, float("nan"), float("inf")])
def test_a_signal_that_is_gone_is_not_healthy(lab, signal, column):
    run = finish(lab, "a", spread=0.01, **PLAIN)
    rows = SIGNALS.read(run.path)
    rows[25][column] = signal
    SIGNALS.replace(run.path, rows)
    assert checked(lab, lab.grid(["a"]))["plain_signals_healthy"].verdict == "does not hold"


def test_signals_are_judged_where_they_are_worst(lab):
    run = finish(lab, "a", spread=0.01, **PLAIN)
    rows = SIGNALS.read(run.path)
    for row in rows[:19]:  # the first sampled iteration
        row["gradient"] = 10.0 ** -row["layer"]
    SIGNALS.replace(run.path, rows)
    claim = checked(lab, lab.grid(["a"]))["plain_signals_healthy"]
    assert claim.verdict == "does not hold"
    assert "plain-20 18.0 > 3" in claim.evidence


def test_what_no_run_measured_is_not_looked_for(lab):
    finish(lab, "a", **PLAIN)
    finish(lab, "b")
    found = checked(lab, lab.grid(["a", "b"]))
    assert not {"residual_responses_smaller", "plain_signals_healthy"} & set(found)


def test_what_a_cell_does_not_say_is_as_in_a_finished_run_that_did_not_say_it(lab):
    finish(lab, "a", block="single", depth=32)
    grid = lab.grid({"a": {"model.net.depth": 32}, "b": {"model.net.depth": 44}, "c": {}})
    found = runs.read(Asked(grid, root=lab.root))
    ((a, b),) = [group.nets for group in alike.groups(found)]
    assert (a.name, a.block, a.depth, len(a.runs)) == ("ResNet-32", "single", 32, 1)
    assert (b.name, b.block, b.shortcut, b.depth, b.runs) == ("b", "single", "A", 44, ())


def test_only_the_papers_own_nets_are_in_its_sentences(lab):
    """Neither gated nets, nor nets in another order, are plain or residual nets of the first paper."""
    nets = {
        "a": {"train_error": 3, "test_error": 5},
        "gated": {"depth": 56, "gate": "exclusive", "train_error": 50, "test_error": 50},
        "pre": {"depth": 56, "order": "full", "train_error": 60, "test_error": 60},
        "b": {"depth": 56, "train_error": 2, "test_error": 4},
        "highway": HIGHWAY | {"depth": 110, "train_error": 70, "test_error": 70},
    }
    found = checked(lab, run_all(lab, nets, range(3)))
    assert found["residual_deeper_tests_better"].evidence.startswith(
        "test error %: ResNet-20 5.01±0.01 > b 4.01±0.01 ("
    )
    assert set(found) == {
        *("residual_deeper_trains_no_worse", "residual_deeper_trains_better", "residual_deeper_tests_better"),
        *("exclusive_gates_worse", "preactivation_tests_better"),
    }


def test_gates_are_compared_with_the_identity_whether_their_biases_decay_or_not(lab):
    def setting_of(decay):
        return {"model": {"sgd": {"decay_gates": decay}}}

    finish(lab, "identity", test_error=7, train_error=1, config=setting_of(True))
    for cell, decay in (("decayed", True), ("spared", False)):
        finish(lab, cell, gate="exclusive", test_error=9, train_error=2, config=setting_of(decay))
    cells = {"identity": {}, "decayed": {"model.net.gate": "exclusive"}}
    cells["spared"] = cells["decayed"] | {"model.sgd.decay_gates": False}
    (claim,) = checked(lab, lab.grid(cells)).values()
    assert claim.evidence.endswith(
        "test error %: identity 7.00 < decayed 9.00; identity 7.00 < spared 9.00 (one run each, as claimed)"
    )


def test_highway_nets_are_followed_over_depth_for_each_bias_and_weight_decay_of_it_alone(lab):
    cells = {}
    for depth, errors in ((56, (8.0, 8.1)), (110, (8.2, 8.3))):
        for decay, error in zip((True, False), errors, strict=True):
            cell = f"{depth}-{decay}"
            cells[cell] = {"model.net.depth": depth, "model.sgd.decay_gates": decay}
            config = {"model": {"sgd": {"decay_gates": decay}}}
            for seed in range(2):
                finish(lab, cell, seed, **HIGHWAY, depth=depth, test_error=error, config=config)
    finish(lab, "other", **(HIGHWAY | {"gate_value": -2}), depth=110, test_error=3)
    cells["other"] = {"model.net.depth": 110}
    claim = checked(lab, lab.grid(cells, seeds=[0, 1]))["highway_no_gain_beyond_100"]
    words = "test error %: 56-True 8.00±0.01 < 110-True 8.20±0.01; 56-False 8.11±0.01 < 110-False 8.30±0.01 ("
    assert claim.evidence.startswith(words)
    assert "3.0" not in claim.evidence


def test_a_gate_that_does_nothing_is_no_other_shortcut(lab):
    finish(lab, "a", test_error=7)
    finish(lab, "b", gate="scale", gate_value=1, test_error=6)
    finish(lab, "c", gate="dropout", gate_value=0.0, test_error=6)
    assert checked(lab, lab.grid(["a", "b", "c"])) == {}


def test_a_depth_that_is_none_is_one_clear_line(lab):
    finish(lab, "a")
    with pytest.raises(InputError, match=r"^tiny: cell b: model.net.depth is deep: write a whole number$"):
        checked(lab, lab.grid({"a": {}, "b": {"model.net.depth": "deep"}}))
    with pytest.raises(InputError, match=r"^tiny: cell b: model.net.shortcut is 1: write a name$"):
        checked(lab, lab.grid({"a": {}, "b": {"model.net.shortcut": 1}}))
    with pytest.raises(InputError, match=r"^tiny: cell b: model.net.gate_value is wide: write a number, or null$"):
        checked(lab, lab.grid({"a": {}, "b": {"model.net.gate_value": "wide"}}))


# -- in every form


@pytest.fixture
def three(lab):
    """A true, a false and an open sentence among others."""
    for seed in range(5):
        finish(lab, "a", seed, net="plain|20", train_error=3, test_error=5, **PLAIN)
        finish(lab, "b", seed, net="plain [bold]56", depth=56, train_error=9, test_error=9, **PLAIN)
        finish(lab, "c", seed, train_error=2, test_error=5)
        finish(lab, "d", seed, depth=56, train_error=1, test_error=8)
    return claims.check(runs.read(Asked(lab.grid(["a", "b", "c", "d"], seeds=list(range(5))), root=lab.root)))


def test_csv_and_markdown_say_all(three):
    assert [dict(row) for row in csv.DictReader(io.StringIO(three.csv()))] == [asdict(claim) for claim in three.found]
    lines = three.markdown().splitlines()
    assert lines[2] == "| verdict | the paper | where | these runs |"
    assert len([line for line in lines if line.startswith("| holds")]) == 5
    assert r"plain\|20" in lines[4]
    assert "Cochran" in lines[-1]
    assert three.counted() == "5 × holds, 1 × does not hold, 1 × not enough runs"


@pytest.mark.parametrize("width", [60, 100, 160])
def test_the_terminal_shows_every_word(three, width):
    console = Console(width=width, file=io.StringIO())
    console.print(three.terminal())
    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= min(width, 105)
    shown = "".join("".join(lines).split())
    for claim in three.found:
        assert claim.verdict.replace(" ", "") in shown
    assert "[bold]56" in shown
    if width == 160:
        assert any(claim.sentence in line for line in lines for claim in three.found)


def test_nothing_to_say_is_nothing(lab):
    finish(lab, "a")
    none = claims.check(runs.read(Asked(lab.grid(["a"]), root=lab.root)))
    assert none.found == ()
    assert none.csv() == "name,sentence,where,verdict,evidence\n"
    assert none.counted() == ""
