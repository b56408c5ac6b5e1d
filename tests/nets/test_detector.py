"""Faster R-CNN on the nets: its parts, what trains, what it samples and finds (Appendix A and B)."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models.detection.rpn import RegionProposalNetwork, concat_box_prediction_layers

from lit_resnet.errors import InputError
from lit_resnet.nets import NetConfig, ResNet, build
from lit_resnet.nets.detector import (
    Detector,
    DetectorConfig,
    _best,
    _Level,
    _lower_scale,
    _of_anchors,
    _region_loss,
    _sampled,
)
from lit_resnet.nets.normalization import FixedBatchNorm2d
from lit_resnet.probes.complexity import complexity
from lit_resnet.training.sgd import Sgd

SMALL = DetectorConfig(anchors=(8, 16), untrained=2, regions=8, proposals=(40, 10), least_side=2)
NETS = {
    "ResNet-101": NetConfig("imagenet", 101, "B", num_classes=20),
    "VGG-16": NetConfig("vgg", 16, "none", num_classes=20),
}


def small(seed: int = 0, config: DetectorConfig = SMALL) -> Detector:
    """On ResNet-18, with BN as after some training."""
    torch.manual_seed(seed)
    net = Detector(NetConfig("imagenet", 18, "A", num_classes=3), config)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_var.fill_(4.0)
    return net


def picture(height: int, width: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(256, (3, height, width), dtype=torch.uint8, generator=generator)


BOX, LABEL = torch.tensor([[5.0, 6.0, 30.0, 25.0]]), torch.tensor([1])
NO_BOX, NO_LABEL = torch.zeros(0, 4), torch.zeros(0, dtype=torch.long)


@pytest.mark.parametrize(
    ("name", "convolutions", "parameters"), [("ResNet-101", 91, 52_199_638), ("VGG-16", 13, 137_073_622)]
)
def test_layers_and_parameters_are_the_papers(name: str, convolutions: int, parameters: int):
    """91 and 13 layers are shared (Appendix A; projections do not count)."""
    with torch.device("meta"):
        net = Detector(NETS[name])
    trunk = [layer for stage in net.backbone.parts() for part in stage for layer in part.named_modules()]
    assert sum(isinstance(m, nn.Conv2d) and "downsample" not in path for path, m in trunk) == convolutions
    assert sum(p.numel() for p in net.parameters()) == parameters
    untrained = {id(p) for stage in net.backbone.parts()[:2] for part in stage for p in part.parameters()}
    for module in net.modules():
        norm = isinstance(module, nn.BatchNorm2d)
        assert all(p.requires_grad != (norm or id(p) in untrained) for p in module.parameters(recurse=False))


@pytest.mark.parametrize(
    "config",
    [
        NetConfig("imagenet", 18, "A"),
        NetConfig("imagenet", 50, "B"),
        NetConfig("imagenet", 50, "B", stride_on="3x3"),
        NETS["VGG-16"],
    ],
    ids=str,
)
def test_trunk_head_and_last_layer_are_the_classification_net(config: NetConfig):
    """With its weights and BN as it was trained; BN is fixed in training, too."""
    torch.manual_seed(0)
    net = build(config).eval()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            for values in (module.running_mean, module.bias.data):
                values.normal_(std=0.1)
            for values in (module.running_var, module.weight.data):
                values.uniform_(0.5, 1.5)
    backbone = Detector(config).backbone.train(config.family != "vgg")  # which has dropout
    weights = net.state_dict()
    backbone.load_state_dict({name: weights[name] for name in backbone.state_dict()})
    images = torch.randn(1, 3, *((224, 224) if config.family == "vgg" else (64, 96)))
    with torch.no_grad():
        maps = backbone.trunk(images)
        assert maps.shape == (1, backbone.channels[0], images.shape[2] // 16, images.shape[3] // 16)
        if isinstance(net, ResNet):
            assert torch.equal(net.fc(backbone.head(maps)), net(images))
            # Before conv5_1 a region has 14x14 places, after it 7x7.
            region = torch.randn(1, backbone.channels[0], backbone.region, backbone.region)
            assert backbone.layer4(region).shape == (1, backbone.channels[1], 7, 7)
        else:
            assert torch.equal(net.classifier[-1](backbone.head(F.max_pool2d(maps, 2))), net(images))


def test_a_training_step_has_the_sampled_regions_and_a_test_the_proposed_ones():
    with torch.device("meta"):
        net = Detector(NETS["ResNet-101"])
    head = complexity(net.backbone.layer4, (1024, 14, 14)).macs
    tested, trained = (complexity(net, (3, 320, 480), training).macs for training in (False, True))
    layers = 2048 * 21 * 5  # classes and boxes
    assert tested - trained == (300 - 64) * (head + layers)


@pytest.mark.parametrize(("sizes", "places"), [((128, 256, 512), 9), ((64, 128, 256, 512), 12)])
def test_anchors_of_a_place_at_stride_16(sizes: tuple[int, ...], places: int):
    """Also where the image's sides are no multiples of 16: 333x500 is padded, 352x512."""
    net = small(config=DetectorConfig(anchors=sizes, regions=8, proposals=(40, 10)))
    seen = net.prepare([picture(333, 500)])
    (anchors,) = net.anchors(seen, [torch.zeros(1, 256, 22, 32)])
    assert len(anchors) == places * 22 * 32
    centres = (anchors[:, :2] + anchors[:, 2:]) / 2
    assert centres[::places].tolist() == [[16.0 * x, 16.0 * y] for y in range(22) for x in range(32)]
    areas = (anchors[:places, 2:] - anchors[:places, :2]).prod(1).sqrt()
    assert areas.sort().values.tolist() == pytest.approx(sorted(3 * sizes), rel=0.01)
    with torch.autocast("cpu", torch.bfloat16):
        (again,), _, _ = net._slide(seen, torch.zeros(1, 256, 22, 32, dtype=torch.bfloat16))
    assert torch.equal(again, anchors), "coordinates need more than the 8 bits of bf16"


def test_a_step_with_weight_decay_changes_what_trains_and_nothing_else():
    net = small().train()
    assert all(not module.training for module in net.modules() if isinstance(module, FixedBatchNorm2d))
    before = {name: value.clone() for name, value in net.state_dict().items()}
    optimizer = Sgd(weight_decay=0.1).optimizer(net, 0.1)
    losses = net.losses([picture(48, 64)], [BOX], [LABEL], [1])
    sum(losses[:4]).backward()
    optimizer.step()
    fixed = {name for name, p in net.named_parameters() if not p.requires_grad} | {
        name for name, _ in net.named_buffers()
    }
    changed = {name for name, value in net.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == before.keys() - fixed
    # All BN, conv1 and conv2_x; conv3_x on trains.
    assert "backbone.bn1.weight" in fixed
    assert "backbone.layer1.0.conv1.weight" in fixed
    assert "backbone.layer2.0.conv1.weight" in changed
    assert "backbone.layer4.1.bn2.running_mean" in fixed


def test_the_loss_of_a_batch_is_the_mean_over_its_images():
    """So two devices of an image each give the gradient of one with both. Without objects there are no box losses."""
    net = small().train()
    images, boxes, labels = [picture(48, 64), picture(48, 64, 1)], [BOX, NO_BOX], [LABEL, NO_LABEL]
    both = net.losses(images, boxes, labels, [3, 4])
    first = net.losses(images[:1], boxes[:1], labels[:1], [3])
    second = net.losses(images[1:], boxes[1:], labels[1:], [4])
    for whole, *parts in zip(both[:4], first[:4], second[:4], strict=True):
        torch.testing.assert_close(whole, sum(parts) / 2)
    assert second.rpn_box == second.box == 0
    assert first.box > 0
    assert both.sampled == first.sampled + second.sampled == 16


@pytest.mark.parametrize("regions", [1, 2])
def test_of_the_fewest_regions_one_is_an_object(regions: int):
    net = small(config=DetectorConfig((8, 16), regions=regions, proposals=(40, 10), least_side=2)).train()
    assert net.losses([picture(48, 64)], [BOX], [LABEL], [1]).box > 0


def test_what_is_sampled_depends_on_the_seed_of_the_image():
    net = small().train()
    with torch.no_grad():
        one, same, other = (net.losses([picture(48, 64)], [BOX], [LABEL], [draw])[:4] for draw in (1, 1, 2))
    assert one == same
    assert one != other


def test_anchors_are_objects_by_their_overlap_or_as_the_best_of_a_box():
    anchors = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 8], [0, 0, 10, 5], [50, 50, 60, 60], [50, 50, 60, 54]])
    boxes = torch.tensor([[0.0, 0, 10, 10], [50, 50, 60, 52], [80, 80, 90, 90]])
    labels, matched = _of_anchors(anchors, boxes)
    # IoU 1, 0.8, 0.5 (neither), 0.2 (background); 0.5, but the best of the second box. None is of the third.
    assert labels.tolist() == [1, 1, -1, 0, 1]
    assert matched[[0, 1, 4]].tolist() == [0, 0, 1]
    assert _of_anchors(anchors, NO_BOX)[0].tolist() == [0] * 5


def test_samples_have_at_most_so_many_objects_and_are_filled_with_background():
    labels = torch.tensor([1] * 5 + [0] * 20 + [-1] * 5)
    chosen = _sampled(labels, 8, 2, torch.Generator().manual_seed(0))
    assert labels[chosen].tolist() == [1, 1] + [0] * 6
    assert len(set(chosen.tolist())) == 8
    assert labels[_sampled(labels[:7], 8, 4, torch.Generator())].tolist() == [1, 1, 1, 1, 0, 0]


def test_the_class_and_box_of_each_region_are_found_again():
    """A detector that was told everything: one region, its class, and no correction of the box."""
    scores = torch.tensor([[0.1, 0.9], [0.1, 0.8], [0.6, 0.0]])
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 8], [30, 30, 40, 40]])[:, None].expand(-1, 2, -1)
    found = _best(scores, boxes, voting=False)
    # The second one overlaps the first by 0.8; of the other class it is a detection of its own.
    assert found.labels.tolist()[:2] == [1, 0]
    assert found.boxes[0].tolist() == [0, 0, 10, 10]
    assert found.scores.tolist()[:2] == pytest.approx([0.9, 0.6])
    voted = _best(scores, boxes, voting=True)
    assert voted.boxes[0].tolist() == pytest.approx([0, 0, 10, (0.9 * 10 + 0.8 * 8) / 1.7])
    assert voted.scores[-1] == 0  # so that its only vote, its own, has no weight
    assert voted.boxes[-1].tolist() == [30, 30, 40, 40]


def test_a_region_takes_the_two_sizes_between_which_it_is_224_pixels_wide():
    regions = torch.tensor([[0.0, 0, 50, 50], [0, 0, 112, 112], [0, 0, 150, 150], [0, 0, 900, 900]])
    assert _lower_scale(regions, [0.5, 1, 2, 3]).tolist() == [2, 2, 1, 0]


def test_the_rpn_is_torchvisions_but_for_anchors_that_cross_the_border():
    """Losses, order of the anchors, and proposals. So few anchors are within the image that all are sampled."""
    net = small(config=replace(SMALL, proposals=(1000, 1000))).train()
    seen = net.prepare([picture(48, 64)])
    maps = net.backbone.trunk(seen.tensors)
    theirs = RegionProposalNetwork(
        net.anchors, net.rpn, 0.7, 0.3, 256, 0.5, *2 * [{"training": 12000, "testing": 6000}], 0.7
    )
    theirs.min_size, theirs._post_nms_top_n = SMALL.least_side, {"training": 1000, "testing": 1000}
    (anchors,), (scores,), (deltas,) = net._slide(seen, maps)
    objectness, codes = net.rpn([maps])
    their_scores, their_deltas = concat_box_prediction_layers(list(objectness), list(codes))
    assert torch.equal(scores, their_scores.flatten())
    assert torch.equal(deltas, their_deltas)
    within = ((anchors[:, :2] >= 0) & (anchors[:, 2:] <= torch.tensor([64, 48]))).all(1)
    labels, matched = theirs.assign_targets_to_anchors([anchors[within]], [{"boxes": BOX}])
    targets = theirs.box_coder.encode(matched, [anchors[within]])
    expected = theirs.compute_loss(scores[within, None], deltas[within], labels, targets)
    losses = net.losses([picture(48, 64)], [BOX], [LABEL], [1])
    torch.testing.assert_close((losses.rpn_class, losses.rpn_box), expected)
    assert within.sum() < 256
    assert losses.rpn_box > 0
    for mode in (True, False):
        theirs.train(mode)
        decoded = theirs.box_coder.decode(deltas.detach(), [anchors]).view(1, -1, 4)
        (expected,), _ = theirs.filter_proposals(decoded, scores.detach()[:, None], [(48, 64)], [len(anchors)])
        (proposed,) = net._propose(seen, [anchors], [scores], [deltas], training=mode)
        torch.testing.assert_close(proposed, expected)


def test_boxes_are_learned_as_faster_rcnn_has_them():
    """Offsets in tenths and fifths of the region; smooth L1, linear from 1 on, over all sampled regions."""
    region, moved = torch.tensor([[0.0, 0, 10, 10]]), torch.tensor([[1.0, 0, 11, 10 * math.e]])
    (offset,) = small().coder.encode_single(moved, region)
    assert offset.tolist() == pytest.approx([1.0, 10 * (math.e - 1) / 2, 0.0, 5.0], abs=1e-5)
    classes, offsets = torch.tensor([2, 0]), torch.tensor([[0.5, -2.0, 0, 0], [9.0, 9, 9, 9]])
    of_class, of_box = _region_loss(torch.zeros(2, 4), torch.zeros(2, 4, 4), classes, offsets)
    assert of_box == (0.5**2 / 2 + 2 - 0.5) / 2
    assert of_class == pytest.approx(math.log(4))


def without_a_last_stage(net: Detector, side: int, monkeypatch: pytest.MonkeyPatch) -> Detector:
    """The net, of which the features of a region are those that are pooled, from a map of one channel."""
    monkeypatch.setattr(type(net.backbone), "region", side)
    monkeypatch.setattr(type(net.backbone), "head", lambda self, pooled: pooled.flatten(1))
    net.backbone.channels = (1, side * side)
    return net


def test_regions_are_pooled_from_a_map_that_is_16_times_smaller(monkeypatch: pytest.MonkeyPatch):
    """Rows and columns 4 to 7 of a map of 8x8, the maximum of each quarter."""
    net = without_a_last_stage(small(), 2, monkeypatch)
    maps = torch.arange(64.0).view(1, 1, 8, 8)
    assert net._features(maps, [torch.tensor([[64.0, 64, 112, 112]])]).tolist() == [[45, 47, 61, 63]]


@pytest.mark.parametrize("values", [(1.0, 3.0), (3.0, 1.0)])
def test_of_two_sizes_the_higher_features_count(values: tuple[float, float], monkeypatch: pytest.MonkeyPatch):
    net = without_a_last_stage(small(), 1, monkeypatch)
    levels = [_Level(torch.full((1, 1, 8 * scale, 8 * scale), value), scale) for scale, value in enumerate(values, 1)]
    assert net._highest(levels, torch.tensor([[0.0, 0, 100, 100]])).tolist() == [[3.0]]


def test_refined_boxes_are_pooled_again(monkeypatch: pytest.MonkeyPatch):
    net, seen = small().eval(), []
    nn.init.normal_(net.boxes.weight, std=0.1)
    original = net._at_scales

    def spy(levels, regions, size):
        seen.append((regions, *original(levels, regions, size)))
        return seen[-1][1:]

    monkeypatch.setattr(net, "_at_scales", spy)
    net.detect(picture(50, 70), refine=True)
    (first, scores, boxes), (again, _, _) = seen
    best = scores[:, 1:].argmax(1)
    assert torch.equal(again, boxes[torch.arange(len(boxes)), best])
    assert not torch.equal(again, first)


@pytest.mark.parametrize("pooling", ["pool", "align"])
def test_what_is_found_lies_in_the_image(pooling: str):
    net = small(config=DetectorConfig((8, 16), pooling, regions=8, proposals=(40, 10), least_side=2)).eval()
    image = picture(50, 70)
    plain = net.detect(image)
    once = net.detect(image, pyramid=[image, picture(100, 140), picture(150, 210)], refine=True)
    for found in (plain, once):
        assert len(found.boxes) == len(found.labels) == len(found.scores) > 0
        assert (found.boxes >= 0).all()
        assert (found.boxes <= torch.tensor([70, 50, 70, 50])).all()
        assert found.scores.tolist() == sorted(found.scores.tolist(), reverse=True)
        assert set(found.labels.tolist()) <= {0, 1, 2}


@pytest.mark.parametrize("refine", [False, True])
def test_a_net_that_proposes_nothing_finds_nothing(refine: bool):
    """As one whose weights are no numbers any more; it can be trained on, and says so by its losses."""
    net = small()
    nn.init.constant_(net.rpn.cls_logits.bias, torch.nan)
    nn.init.constant_(net.rpn.bbox_pred.bias, torch.nan)
    image = picture(50, 70)
    found = net.eval().detect(image, pyramid=[image, picture(100, 140)], refine=refine)
    assert (found.boxes.shape, found.labels.shape, found.scores.shape) == ((0, 4), (0,), (0,))
    assert net.train().losses([image], [BOX], [LABEL], [1]).rpn_class.isnan()
    losses = net.losses([image], [NO_BOX], [NO_LABEL], [1])
    assert losses.sampled == 0
    assert losses.class_ == losses.box == 0


def test_there_are_no_detectors_on_cifar_nets():
    with pytest.raises(InputError, match="family is cifar: detectors are on nets of the family imagenet, or on vgg"):
        Detector(NetConfig("cifar", 20, "A"))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"anchors": ()}, "anchors is"),
        ({"anchors": (64, 32)}, "in growing order"),
        ({"untrained": 6}, "untrained is 6"),
        ({"background": 0.6}, "background is 0.6"),
        ({"background": float("nan")}, "background is nan"),
        ({"proposals": (0, 300)}, "proposals is 0"),
        ({"pooling": "max"}, "pooling is"),
    ],
)
def test_values_out_of_range_are_refused(values: dict, words: str):
    with pytest.raises(ValueError, match=words):
        DetectorConfig(**values)
