"""Faster R-CNN on the paper's nets (Appendix A): trunk, region proposals, and the last stage for each region.

The trunk is conv1 to conv4_x, of stride 16, or VGG's convolutions. A region proposal network (RPN) slides over its
map; the features of each proposed region are pooled from the map, and go through conv5_x, or VGG's fully-connected
layers, to two sibling layers: classes and boxes. BN is fixed.

Boxes are (x1, y1, x2, y2), in pixels of the images that are given; see `data.boxes.Annotated`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.detection._utils import BoxCoder
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.rpn import RPNHead
from torchvision.ops import (
    batched_nms,
    box_iou,
    clip_boxes_to_image,
    nms,
    remove_small_boxes,
    roi_align,
    roi_pool,
)

from lit_resnet.errors import InputError, check_choices, check_range
from lit_resnet.nets import VGG, NetConfig, ResNet, build
from lit_resnet.nets.normalization import fix_batch_norm

STRIDE = 16  # of the trunk
MULTIPLE = 32  # of which the sides of a padded batch are: then the map is exactly 16 times smaller, and so are anchors
RATIOS = (0.5, 1.0, 2.0)  # height over width of the anchors
# Of the RPN: regions sampled in an image, and how many of them may be objects; IoUs of an object, and of background;
# the IoU above which the lower one of two proposals is dropped; how many are looked at, in training and in the test.
RPN_SAMPLED, RPN_OBJECTS = 256, 128
RPN_OBJECT_IOU, RPN_BACKGROUND_IOU = 0.7, 0.3
RPN_NMS, RPN_LOOKED_AT = 0.7, (12000, 6000)
OBJECT_IOU, OBJECTS = 0.5, 0.25  # of a region that is an object; the most of the sampled regions that are one
NMS, MOST_FOUND = 0.3, 100  # in the test: for each class, and of an image
VOTING_IOU = 0.5  # with a found box, of the boxes that vote on it
LEAST_VOTE = 1e-30  # of a box: many scores are 0 to a 32-bit float
REGION_SIDE = 224  # of a region, in pixels, at the scale that suits it best: the size of classification's crops
STDS = (10.0, 10.0, 5.0, 5.0)  # box targets are divided by (.1, .1, .2, .2)
# Mean of ImageNet's pixels in levels, for nets that start from no weights.
IMAGENET_MEAN = (123.675, 116.28, 103.53)
LEVELS = 255  # which are 1 to the nets: classification has its images so
MOST = 100_000  # beyond which a number is a slip


@dataclass(frozen=True)
class DetectorConfig:
    """What a detector has beside its net; the defaults are those of Faster R-CNN on PASCAL VOC.

    Args:
        anchors: Sides of the anchors, in pixels of the resized image: of each there are three, with heights of half,
            once and twice their width. For COCO 64 comes before them.
        pooling: How a region's features are taken from the map: `pool`, RoI pooling as in 2015, or `align`.
        untrained: Stages whose weights do not train, conv1 counted: conv1 and conv2_x; of VGG conv1_x and conv2_x.
        regions: Regions sampled of each image in training, a quarter of them objects.
        background: The least IoU with an object that a region of background has: 0.1 on VOC, 0 on COCO.
        proposals: Regions that the RPN proposes, in training and in the test.
        least_side: Of a proposed region, in pixels.

    Raises:
        ValueError: A value is out of range; the message says what to write instead.
    """

    anchors: tuple[int, ...] = (128, 256, 512)
    pooling: Literal["pool", "align"] = "pool"
    untrained: int = 2
    regions: int = 64
    background: float = 0.1
    proposals: tuple[int, int] = (2000, 300)
    least_side: int = 16

    def __post_init__(self) -> None:
        check_choices(self)
        if not self.anchors or sorted(set(self.anchors)) != list(self.anchors):
            raise ValueError(f"anchors is {list(self.anchors)}: write sides in growing order, such as [128, 256, 512]")
        for name, value, least, most in (
            *(("anchors", side, 1, MOST) for side in self.anchors),
            ("untrained", self.untrained, 0, 5),
            ("regions", self.regions, 1, MOST),
            ("background", self.background, 0, OBJECT_IOU),
            *(("proposals", count, 1, MOST) for count in self.proposals),
            ("least_side", self.least_side, 1, MOST),
        ):
            check_range(name, value, least, most)


class Losses(NamedTuple):
    """The losses of a batch: each the mean over its images, of which each is the mean over its sampled regions.

    Args:
        rpn_class: Whether an anchor is an object: binary cross-entropy.
        rpn_box: Its box: smooth L1, the sum over the objects' four coordinates; likewise `box`.
        class_: The class of a region: cross-entropy.
        box: Its box.
        wrong: Sampled regions whose class is wrong, of the batch.
        sampled: Sampled regions.
    """

    rpn_class: Tensor
    rpn_box: Tensor
    class_: Tensor
    box: Tensor
    wrong: Tensor
    sampled: int


class Detections(NamedTuple):
    """What is found in an image, the best first: boxes [m, 4], labels [m] from 0, scores [m] from 0 to 1."""

    boxes: Tensor
    labels: Tensor
    scores: Tensor


class Detector(nn.Module):
    """Faster R-CNN on a net of the paper, for images in levels of which it subtracts the mean.

    Args:
        config: The net; its `num_classes` are those of the objects.
        detector: What the detector has besides.

    Raises:
        InputError: There is no detector on such a net.
    """

    mean: Tensor  # float32 [3, 1, 1], in levels

    def __init__(self, config: NetConfig, detector: DetectorConfig = DetectorConfig()) -> None:
        super().__init__()
        check_net(config)
        self.config, self.detector = config, detector
        net = build(config)
        assert isinstance(net, ResNet | VGG)  # so says `check_net`
        if isinstance(net, VGG):
            net.classifier[-1] = nn.Identity()
        else:
            net.add_module("fc", nn.Identity())
        self.backbone = net
        of_trunk, of_head = net.channels
        self.anchors = AnchorGenerator((detector.anchors,), (RATIOS,))
        self.rpn = RPNHead(of_trunk, len(detector.anchors) * len(RATIOS))
        self.classes = nn.Linear(of_head, config.num_classes + 1)  # the first is background
        self.boxes = nn.Linear(of_head, 4 * (config.num_classes + 1))
        for layer, std in ((self.classes, 0.01), (self.boxes, 0.001)):
            nn.init.normal_(layer.weight, std=std)
            nn.init.zeros_(layer.bias)
        self.rpn_coder, self.coder = BoxCoder((1.0, 1.0, 1.0, 1.0)), BoxCoder(STDS)
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN)[:, None, None])
        fix_batch_norm(self.backbone)
        for layer in (layer for stage in net.parts()[: detector.untrained] for layer in stage):
            layer.requires_grad_(False)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The arithmetic of an image [1, 3, H, W]: classes and boxes of all regions that are proposed, or sampled.

        It is for counting: which regions these are changes no count, so all are the same.
        """
        maps = self.backbone.trunk(images)
        self.rpn([maps])
        side = self.backbone.region
        regions = self.detector.regions if self.training else self.detector.proposals[1]
        features = self.backbone.head(maps[:, :, :1, :1].expand(regions, -1, side, side))
        return self.classes(features), self.boxes(features)

    # -- training

    def losses(
        self, images: Sequence[Tensor], boxes: Sequence[Tensor], labels: Sequence[Tensor], draws: Sequence[int]
    ) -> Losses:
        """The losses of a batch (approximate joint training: no gradient through the coordinates of proposals).

        Args:
            images: uint8 [3, h, w] each.
            boxes: float32 [n, 4] of each image's objects; n may be 0.
            labels: int64 [n], from 0.
            draws: Seeds, from which an image's anchors and regions are sampled.
        """
        seen = self.prepare(images)
        maps = self.backbone.trunk(seen.tensors)
        anchors, objectness, deltas = self._slide(seen, maps)
        rngs = [torch.Generator().manual_seed(draw) for draw in draws]
        of_rpn = map(self._rpn_loss, anchors, objectness, deltas, boxes, seen.image_sizes, rngs)
        rpn_class, rpn_box = map(_mean, zip(*of_rpn, strict=True))
        proposals = self._propose(seen, anchors, objectness, deltas, training=True)
        sampled = map(self._sample, proposals, boxes, labels, rngs)
        regions, wanted, offsets = zip(*sampled, strict=True)
        scores, codes = self._judge(maps, regions)
        counts = [len(one) for one in regions]
        of_regions = map(_region_loss, scores.split(counts), codes.split(counts), wanted, offsets)
        of_class, of_box = map(_mean, zip(*of_regions, strict=True))
        wrong = (scores.detach().argmax(1) != torch.cat(wanted)).sum()
        return Losses(rpn_class, rpn_box, of_class, of_box, wrong, sum(counts))

    def _rpn_loss(
        self,
        anchors: Tensor,
        objectness: Tensor,
        deltas: Tensor,
        boxes: Tensor,
        size: tuple[int, int],
        rng: torch.Generator,
    ) -> tuple[Tensor, Tensor]:
        """Losses of an image's anchors: objectness [a], deltas [a, 4]. Those that cross its border do not count."""
        height, width = size
        within = (anchors[:, :2] >= 0).all(1) & (anchors[:, 2] <= width) & (anchors[:, 3] <= height)
        index = torch.where(within)[0]
        labels, matched = _of_anchors(anchors[index], boxes)
        chosen = _sampled(labels, RPN_SAMPLED, RPN_OBJECTS, rng)
        if not len(chosen):  # of an image that is smaller than every anchor
            return objectness.sum() * 0, deltas.sum() * 0
        index, labels, matched = index[chosen], labels[chosen], matched[chosen]
        of_class = F.binary_cross_entropy_with_logits(objectness[index], labels.float())
        objects = labels == 1
        targets = self.rpn_coder.encode_single(boxes[matched[objects]], anchors[index[objects]])
        of_box = F.smooth_l1_loss(deltas[index[objects]], targets, beta=1 / 9, reduction="sum") / len(chosen)
        return of_class, of_box

    def _sample(
        self, proposals: Tensor, boxes: Tensor, labels: Tensor, rng: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Sampled regions [r, 4] of an image, their classes [r], 0 for background, and their box targets [r, 4]."""
        proposals = torch.cat([proposals, boxes])
        if len(boxes):
            overlap, matched = box_iou(proposals, boxes).max(1)
        else:
            overlap, matched = proposals.new_zeros(len(proposals)), None
        # Of an image without objects, all are background.
        least = self.detector.background if len(boxes) else 0.0
        kinds = torch.where(overlap >= OBJECT_IOU, 1, torch.where(overlap >= least, 0, -1))
        chosen = _sampled(kinds, self.detector.regions, max(1, round(OBJECTS * self.detector.regions)), rng)
        regions, classes = proposals[chosen], torch.zeros(len(chosen), dtype=torch.long, device=proposals.device)
        if matched is None:
            return regions, classes, torch.zeros_like(regions)
        objects = kinds[chosen] == 1
        classes[objects] = labels[matched[chosen[objects]]] + 1
        return regions, classes, self.coder.encode_single(boxes[matched[chosen]], regions)

    # -- tests

    @torch.inference_mode()
    def detect(self, image: Tensor, pyramid: Sequence[Tensor] = (), refine: bool = False) -> Detections:
        """What is found in an image; put the module into evaluation mode before.

        Args:
            image: uint8 [3, h, w].
            pyramid: The same image at several sizes, in growing order, for multi-scale testing (Appendix B): the
                features of a region are taken at the two neighbouring sizes that suit it best, and their maximum
                counts. The regions are proposed on `image`. Empty for `image` alone.
            refine: Box refinement (Appendix B): each region is pooled again from its best box, the new scores and boxes
                are added to the first, and the boxes that NMS drops vote on the coordinates of those that it keeps.
        """
        seen = self.prepare([image])
        maps = self.backbone.trunk(seen.tensors)
        (regions,) = self._propose(seen, *self._slide(seen, maps), training=False)
        levels = [_Level(maps, 1.0)]
        if pyramid:
            scales = [one.shape[2] / image.shape[2] for one in pyramid]
            levels = [
                _Level(self.backbone.trunk(self.prepare([one]).tensors), scale)
                for one, scale in zip(pyramid, scales, strict=True)
            ]
        size = (image.shape[1], image.shape[2])
        scores, boxes = self._at_scales(levels, regions, size)
        if refine and len(regions):
            best = scores[:, 1:].argmax(1)
            again = boxes[torch.arange(len(boxes), device=boxes.device), best]
            more_scores, more_boxes = self._at_scales(levels, again, size)
            scores, boxes = torch.cat([scores, more_scores]), torch.cat([boxes, more_boxes])
        return _best(scores[:, 1:], boxes, voting=refine)

    def _at_scales(self, levels: Sequence["_Level"], regions: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Scores [r, classes + 1] and boxes [r, classes, 4] of regions, whose features are the maximum over scales."""
        features = self._highest(levels, regions)
        scores = self.classes(features).float().softmax(1)
        codes = self.boxes(features).float().view(*scores.shape, 4)[:, 1:]
        boxes = self.coder.decode_single(codes.flatten(1), regions).view_as(codes)
        return scores, clip_boxes_to_image(boxes, size)

    def _highest(self, levels: Sequence["_Level"], regions: Tensor) -> Tensor:
        """The features [r, c] of regions; of two sizes of the image, the higher ones."""
        if len(levels) == 1:
            return self._features(levels[0].maps, [regions * levels[0].scale])
        features = regions.new_full((len(regions), self.backbone.channels[1]), -torch.inf)
        lower = _lower_scale(regions, [level.scale for level in levels])
        for number, level in enumerate(levels):
            here = torch.where((lower == number) | (lower == number - 1))[0]
            if len(here):
                found = self._features(level.maps, [regions[here] * level.scale])
                features[here] = features[here].maximum(found)
        return features

    # -- both

    def prepare(self, images: Sequence[Tensor]) -> ImageList:
        """Images uint8 [3, h, w] -> one batch: less the mean, 255 levels being 1; then zeros to the right and below."""
        sizes = [(image.shape[1], image.shape[2]) for image in images]
        height, width = (-(-max(side) // MULTIPLE) * MULTIPLE for side in zip(*sizes, strict=True))
        batch = self.mean.new_zeros(len(images), 3, height, width)
        for place, image, (h, w) in zip(batch, images, sizes, strict=True):
            place[:, :h, :w] = (image - self.mean) / LEVELS
        if self._channels_last:
            batch = batch.contiguous(memory_format=torch.channels_last)
        return ImageList(batch, sizes)

    @property
    def _channels_last(self) -> bool:
        """Whether the weights lie in memory with channels last."""
        weight = next(self.backbone.parameters())
        return weight.is_contiguous(memory_format=torch.channels_last)

    def _slide(self, seen: ImageList, maps: Tensor) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """The RPN: anchors [a, 4] of each image, their objectness [a] and their deltas [a, 4], in 32-bit floats."""
        (objectness,), (deltas,) = self.rpn([maps])
        n = len(maps)
        # [N, anchors of a place, h, w] -> [N, h, w, anchors of a place], the order of AnchorGenerator
        objectness = objectness.permute(0, 2, 3, 1).reshape(n, -1).float()
        deltas = deltas.unflatten(1, (-1, 4)).permute(0, 3, 4, 1, 2).reshape(n, -1, 4).float()
        like = self.mean.new_empty(()).expand(maps.shape)  # anchors have its type, and coordinates need 32 bits
        return self.anchors(seen, [like]), list(objectness), list(deltas)

    def _propose(
        self,
        seen: ImageList,
        anchors: Sequence[Tensor],
        objectness: Sequence[Tensor],
        deltas: Sequence[Tensor],
        training: bool,
    ) -> list[Tensor]:
        """Proposed regions [r, 4] of each image, the best first."""
        kept = self.detector.proposals[0 if training else 1]
        proposals = []
        for anchor, scores, delta, size in zip(anchors, objectness, deltas, seen.image_sizes, strict=True):
            scores, index = scores.detach().topk(min(len(scores), RPN_LOOKED_AT[0 if training else 1]))
            boxes = self.rpn_coder.decode_single(delta.detach()[index], anchor[index])
            boxes = clip_boxes_to_image(boxes, size)
            large = remove_small_boxes(boxes, self.detector.least_side)
            boxes, scores = boxes[large], scores[large]
            proposals.append(boxes[nms(boxes, scores, RPN_NMS)[:kept]])
        return proposals

    def _judge(self, maps: Tensor, regions: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Scores before softmax [r, classes + 1] and box codes [r, classes + 1, 4] of all regions of a batch."""
        features = self._features(maps, regions)
        scores = self.classes(features).float()
        return scores, self.boxes(features).float().view(*scores.shape, 4)

    def _features(self, maps: Tensor, regions: Sequence[Tensor]) -> Tensor:
        """Features [r, c] of the regions of a batch."""
        side = self.backbone.region
        with torch.autocast(maps.device.type, enabled=False):  # coordinates need more than 16 bits
            if self.detector.pooling == "pool":
                pooled = roi_pool(maps.float(), list(regions), side, 1 / STRIDE)
            else:
                pooled = roi_align(maps.float(), list(regions), side, 1 / STRIDE, aligned=True)
        if self._channels_last:
            pooled = pooled.contiguous(memory_format=torch.channels_last)
        return self.backbone.head(pooled)


class _Level(NamedTuple):
    """The map of the image at a size that is `scale` times that of the proposals."""

    maps: Tensor
    scale: float


def check_net(config: NetConfig) -> None:
    """Refuse a net on which there is no detector.

    Raises:
        InputError: With what to write instead.
    """
    if config.family not in ("imagenet", "vgg"):
        raise InputError(
            f"model.net.family is {config.family}: detectors are on nets of the family imagenet, or on vgg"
        )


def _of_anchors(anchors: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Labels [a] of anchors, 1 for objects, 0 for background, -1 for neither, and the boxes [a] that they match best.

    An anchor is an object by its IoU, or as the best one (or one of several) of a box.
    """
    if not len(boxes) or not len(anchors):
        zeros = torch.zeros(len(anchors), dtype=torch.long, device=anchors.device)
        return zeros, zeros
    overlaps = box_iou(anchors, boxes)
    most, matched = overlaps.max(1)
    labels = torch.full_like(matched, -1)
    labels[most < RPN_BACKGROUND_IOU] = 0
    best = overlaps.max(0).values
    labels[((overlaps == best) & (best > 0)).any(1)] = 1
    labels[most >= RPN_OBJECT_IOU] = 1
    return labels, matched


def _mean(losses: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(losses)).mean()


def _sampled(labels: Tensor, most: int, most_objects: int, rng: torch.Generator) -> Tensor:
    """Numbers of at most so many entries: objects (1) first, then background (0), each drawn at random."""
    objects, background = torch.where(labels == 1)[0], torch.where(labels == 0)[0]
    drawn = _drawn(objects, most_objects, rng)
    return torch.cat([drawn, _drawn(background, most - len(drawn), rng)])


def _drawn(index: Tensor, count: int, rng: torch.Generator) -> Tensor:
    return index[torch.randperm(len(index), generator=rng)[:count].to(index.device)]


def _region_loss(scores: Tensor, codes: Tensor, classes: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
    """Losses of an image's regions: scores [r, classes + 1], codes [r, classes + 1, 4], their targets [r], [r, 4]."""
    if not len(classes):
        return scores.sum() * 0, codes.sum() * 0
    objects = torch.where(classes > 0)[0]
    of_box = F.smooth_l1_loss(codes[objects, classes[objects]], offsets[objects], reduction="sum") / len(classes)
    return F.cross_entropy(scores, classes), of_box


def _lower_scale(regions: Tensor, scales: Sequence[float]) -> Tensor:
    """Number of the lower one of the two neighbouring scales between which a region is `REGION_SIDE` pixels wide."""
    widths = regions.new_tensor(scales) * (regions[:, 2:] - regions[:, :2]).prod(1).sqrt()[:, None]
    return ((widths <= REGION_SIDE).sum(1) - 1).clamp(0, len(scales) - 2)


def _best(scores: Tensor, boxes: Tensor, voting: bool) -> Detections:
    """The boxes that NMS keeps, of scores [r, classes] and boxes [r, classes, 4]: at most `MOST_FOUND`."""
    labels = torch.arange(scores.shape[1], device=scores.device).expand_as(scores).flatten()
    boxes, scores = boxes.reshape(-1, 4), scores.flatten()
    whole = (boxes[:, 2:] > boxes[:, :2]).all(1) & scores.isfinite()
    boxes, scores, labels = boxes[whole], scores[whole], labels[whole]
    kept = batched_nms(boxes, scores, labels, NMS)[:MOST_FOUND]
    found = boxes[kept]
    if voting and len(kept):
        votes = (box_iou(found, boxes) >= VOTING_IOU) & (labels[kept][:, None] == labels)
        weights = votes * scores.clamp(min=LEAST_VOTE)
        found = weights @ boxes / weights.sum(1, keepdim=True)
    return Detections(found, labels[kept], scores[kept])
