"""The paper's sentences about runs, each as comparisons between the nets of a group: Sec. 4.1, 4.2, then 4.3."""

from collections.abc import Callable, Container
from itertools import chain, pairwise, product

from lit_resnet import paper
from lit_resnet.report.claims import layers, sequel
from lit_resnet.report.claims.alike import VGG, Group, Net
from lit_resnet.report.claims.asking import Compared, Couples, compare, like, limited, no_worse, trend, value_of
from lit_resnet.report.claims.compare import Sign, by, pair, times
from lit_resnet.report.claims.contrast import NO_MARGIN, Margin
from lit_resnet.report.claims.margins import TOLD_APART, alike, of_detectors
from lit_resnet.report.claims.measures import (
    CENTER,
    COCO,
    COCO_50,
    COCO_APART,
    CONVERGING,
    GRADIENT,
    QUARTERS,
    SCALES,
    SCALES_TOP5,
    TEN_CROP,
    TEN_CROP_TOP5,
    TEST,
    TRAIN,
    VARIANCE,
    VOC,
    WARMUP,
    Measure,
)

# Points. The paper calls 0.84 of top-1 error small (Table 3: from option A to C), and 3.51 considerable (plain to A); a
# gain that is lower by 0.9 points of mAP is nearly as big (Appendix A).
LITTLE = 1.0
# A signal counts as vanished (or exploded) when it has changed a thousandfold. One that vanishes shrinks in every
# layer: even a factor of 1.2 makes a thousand after 38 layers, and a 44-layer net has more. Healthy layers of different
# widths or BN scales differ by a factor of ten or a hundred. BN starts each layer's variance at 1, so variances have an
# absolute limit; gradients can only be compared with each other.
LEAST_VARIANCE, MOST_ORDERS = 1e-3, 3.0
ABOUT = 2.0  # "about 400 iterations": from half to twice as many
SEVERAL = 2  # epochs, which are more than one
IMAGES = 50_000  # of an epoch of CIFAR-10
ANY = range(10_000)  # depths

NOTE = (
    "Like, similar, comparable and no worse mean: within a margin by which two runs of one net differ in 19 of 20 "
    "cases, 1.96·√2 times their std over seeds. It is that of the steadier of the nets which are compared; "
    "for test errors of CIFAR-10 after 64,000 iterations that of the paper's five ResNet-110. For training errors it "
    f"is at least {TOLD_APART:g} points. A little means: by less than {LITTLE:g} point; considerably: by more. A "
    "signal has vanished at a thousandth (our limit). Smaller responses: in more than half of the layers, compared "
    "place by place. Validation errors are of ten crops where all runs that are compared have been judged so."
)
DETECTORS_NOTE = (
    "mAP is no rate of wrong images, so that their number does not count. On PASCAL VOC the margin is 1.96·√2 times "
    "the one published std over runs of Faster R-CNN, on COCO 1.96·√2 times that of the steadier of the nets which "
    f"are compared. Nearly as much means: by less than {LITTLE:g} point less."
)

LAYERS = Measure("layers with smaller responses (%)", 0, lambda run: float(bool(run.responses)) or None)


def _validation(couples: Couples) -> Measure:
    """Errors by ten crops, as in Tables 2 and 3; by the centre crop if one of the runs has no error by ten crops."""
    nets = [net for couple in couples for net in couple if net.runs]
    return TEN_CROP if nets and all(map(TEN_CROP.known, nets)) else CENTER


def _validate(couples: Couples, claimed: Sign, margin: Margin = NO_MARGIN) -> Compared:
    return compare(couples, claimed, _validation(couples), margin=margin)


def _gains(group: Group, couples: Couples, claim: str) -> Compared:
    """The first of two nets is worse by the paper's points; none if they were not trained as the paper's."""
    if not group.as_in_the_paper:
        return []
    margin = alike(group, TEN_CROP)
    samples = [(TEN_CROP.of(left), TEN_CROP.of(right)) for left, right in couples]
    return [(TEN_CROP, one) for left, right in samples for one in by(left, right, value_of(claim), margin)]


def _plain(group: Group, depths: Container[int] = ANY) -> list[Net]:
    return [net for net in group.by_depth("none") if net.depth in depths]


def _residual(group: Group, depths: Container[int] = ANY) -> list[list[Net]]:
    """For each shortcut option its nets of these depths."""
    return [[net for net in group.by_depth(option) if net.depth in depths] for option in group.options]


def _next(lines: list[list[Net]]) -> Couples:
    """Each net with the next deeper one of its line."""
    return [couple for line in lines for couple in pairwise(line)]


def _twins(group: Group, block: str = "paper", depths: Container[int] = ANY) -> Couples:
    """Each plain net with the residual nets of its depth."""
    residual = [net for option in group.options for net in group.by_depth(option, block)]
    return [(plain, net) for plain, net in product(_plain(group, depths), residual) if plain.depth == net.depth]


def _of_110(group: Group, warm: bool) -> list[Net]:
    """Residual nets of 110 layers, with or without warm-up, of CIFAR-10."""
    nets = [net for net in group.of_the_paper if (net.depth, net.block, net.warm) == (110, "paper", warm)]
    return [net for net in nets if net.shortcut != "none"]


def _cold_and_warm(group: Group) -> Couples:
    """Residual nets of 110 layers, without and with warm-up."""
    couples = product(_of_110(group, warm=False), _of_110(group, warm=True))
    return [(cold, warm) for cold, warm in couples if cold.shortcut == warm.shortcut]


def _options(group: Group, *names: str) -> Couples:
    """Residual nets of one depth, with two options."""
    couples = [couple for a, b in names for couple in product(group.by_depth(a), group.by_depth(b))]
    return [(one, other) for one, other in couples if one.depth == other.depth]


def _plain_34_competitive(group: Group) -> Compared:
    """Not more than a little above VGG-16."""
    vgg = next(row["top1"] for row in paper.load()["table3"]["rows"] if row["net"] == "VGG-16")
    nets = _plain(group, (34,)) if group.as_in_the_paper else []
    return limited(nets, "<", vgg + LITTLE, TEN_CROP)


def _considerably(group: Group) -> Compared:
    """50 layers and more are better than 34 by more than a little."""
    nets = [net for option in group.options for net in group.by_depth(option)]
    couples = [(a, b) for a, b in product(nets, nets) if a.depth == 34 and 50 <= b.depth <= 152]
    return _validate(couples, ">", Margin(-LITTLE))


def _one_beats_ensembles(group: Group) -> Compared:
    """152 layers alone, at many scales, are better than the best ensemble before them in Table 5."""
    others = [row["top5"] for row in paper.load()["table5"]["rows"] if "models" not in row]
    nets = [*chain(*_residual(group, (152,)))] if group.as_in_the_paper else []
    return limited(nets, "<", min(others), SCALES_TOP5)


def _among_the_best(group: Group) -> Compared:
    """110 layers are better than all other methods of Table 6."""
    others = [row["error"] for row in paper.load()["table6"]["rows"] if "depth" not in row]
    nets = [net for net in group.by_depth("A") if net.depth == 110] if group.as_in_the_paper else []
    return limited(nets, "<", min(others), TEST)


def _printed(group: Group, nets: list[Net], claimed: Sign, claim: str, *measures: Measure) -> Compared:
    """Comparisons with the claim's number in printed.yaml; none if the nets were not trained as the paper's."""
    return limited(nets, claimed, value_of(claim), *measures) if group.as_in_the_paper else []


def _warm_up(group: Group) -> Compared:
    """About as many iterations as the paper says."""
    nets, about = _of_110(group, warm=True) if group.on_the_papers_data else [], value_of("warmup_ends_early")
    return limited(nets, ">", about / ABOUT, WARMUP) + limited(nets, "<", about * ABOUT, WARMUP)


def _late(group: Group) -> Compared:
    nets = _of_110(group, warm=False) if group.on_the_papers_data and group.batch_size else []
    return limited(nets, ">", SEVERAL * IMAGES / (group.batch_size or 1), CONVERGING)


def _weaker(couples: Couples) -> Compared:
    """The second of two nets has smaller responses."""
    return [(LAYERS, layers.weaker(right, left)) for left, right in couples]


def _detectors(group: Group, *data: str) -> Couples:
    """Detectors on VGG-16 and on ResNet-101 (option B), if they were trained on one of these sets."""
    if group.data not in data:
        return []
    vgg = [net for net in group.nets if (net.family, net.depth) == (VGG, 16)]
    return list(product(vgg, [net for net in group.by_depth("B") if net.depth == 101]))


def _better_on_voc(group: Group) -> Compared:
    """ResNet-101 is better by the points that the paper says, or more, to within the margin.

    On images whose truth only a server knows, runs have no number: they count where somebody has judged them.
    """
    claim, columns = "resnet_detects_better_voc", paper.load()["table7"]["columns"].values()
    compared = []
    for column in columns:
        measure = VOC[column["protocol"]]
        for vgg, resnet in _detectors(group, column["data"]):
            high, low = measure.above(measure.of(resnet), measure.of(vgg))
            if not (column.get("public", True) or high.values or low.values):
                continue
            at_least, _ = by(high, low, value_of(claim), of_detectors())
            compared.append((measure, at_least))
    return compared


def _better_on_coco(group: Group) -> Compared:
    """ResNet-101 is better by the percentage that the paper says, to within the spread of the runs."""
    factor = 1 + value_of("resnet_detects_better_coco") / 100
    couples = _detectors(group, paper.load()["table8"]["data"])
    ordered = [COCO.above(COCO.of(resnet), COCO.of(vgg)) for vgg, resnet in couples]
    return [(COCO, one) for high, low in ordered for one in times(high, low, factor, Margin(own=True))]


def _localizes(group: Group) -> Compared:
    """ResNet-101 gains in both, and at most a little less over all IoUs than at 0.5."""
    couples = _detectors(group, paper.load()["table8"]["data"])
    gains = [(m, *m.above(m.of(resnet), m.of(vgg))) for m in (COCO_50, COCO) for vgg, resnet in couples]
    compared = [(measure, pair(high, ">", low)) for measure, high, low in gains]
    return compared + compare([(resnet, vgg) for vgg, resnet in couples], "<", COCO_APART, margin=Margin(LITTLE))


DETECTORS = ("resnet_detects_better_voc", "resnet_detects_better_coco", "gain_is_localization_too")
CHECKS: dict[str, Callable[[Group], Compared]] = {
    "plain_34_trains_worse": lambda group: compare(_next([_plain(group, (18, 34))]), "<", *QUARTERS),
    "plain_34_validates_worse": lambda group: _validate(_next([_plain(group, (18, 34))]), "<"),
    "plain_34_competitive": _plain_34_competitive,
    "longer_training_no_cure": lambda group: (
        trend([_plain(group)], "<", TRAIN) if group.times_the_papers_length == 3 else []
    ),
    "residual_34_trains_better": lambda group: compare(_next(_residual(group, (18, 34))), ">", TRAIN),
    "residual_34_validates_better": lambda group: _validate(_next(_residual(group, (18, 34))), ">"),
    "residual_34_gains": lambda group: _gains(group, _next(_residual(group, (18, 34))), "residual_34_gains"),
    "shortcuts_help_34": lambda group: (
        compare(_twins(group, depths=(34,)), ">", TRAIN) + _validate(_twins(group, depths=(34,)), ">")
    ),
    "shortcuts_gain_34": lambda group: _gains(
        group, [(plain, net) for plain, net in _twins(group, depths=(34,)) if net.shortcut == "A"], "shortcuts_gain_34"
    ),
    "twins_18_comparable": lambda group: like(
        group, _twins(group, depths=(18,)), _validation(_twins(group, depths=(18,)))
    ),
    "residual_18_converges_faster": lambda group: compare(_twins(group, depths=(18,)), ">", QUARTERS[0]),
    "options_differ_little": lambda group: (
        _validate(_options(group, "AB", "BC"), ">") + _validate(_options(group, "AB", "BC"), "<", Margin(LITTLE))
    ),
    "depth_gains_up_to_152": lambda group: trend(
        _residual(group, range(34, 153)), ">", _validation(_next(_residual(group, range(34, 153))))
    ),
    "depth_gains_in_all_measures": lambda group: trend(
        _residual(group, range(34, 153)), ">", TEN_CROP_TOP5, SCALES, SCALES_TOP5
    ),
    "bottlenecks_gain_considerably": _considerably,
    "one_152_beats_ensembles": _one_beats_ensembles,
    "plain_bottlenecks_degrade": lambda group: trend([_plain(group, range(50, 153))], "<", TRAIN),
    "plain_deeper_trains_worse": lambda group: trend([_plain(group)], "<", TRAIN),
    "plain_deeper_tests_worse": lambda group: trend([_plain(group)], "<", TEST),
    "plain_110_error_above": lambda group: _printed(
        group, _plain(group, (110,)), ">", "plain_110_error_above", TRAIN, TEST
    ),
    "residual_deeper_trains_no_worse": lambda group: no_worse(group, _next(_residual(group)), ">", TRAIN),
    "residual_deeper_trains_better": lambda group: trend(_residual(group, range(111)), ">", TRAIN),
    "residual_trains_better": lambda group: compare(_twins(group), ">", TRAIN),
    "residual_tests_better": lambda group: compare(_twins(group), ">", TEST),
    "residual_deeper_tests_better": lambda group: trend(_residual(group, range(111)), ">", TEST),
    "resnet_110_among_the_best": _among_the_best,
    "resnet_1202_train_error_below": lambda group: _printed(
        group, [*chain(*_residual(group, (1202,)))], "<", "resnet_1202_train_error_below", TRAIN
    ),
    "resnet_1202_overfits": lambda group: (
        like(group, _next(_residual(group, (110, 1202))), TRAIN)
        + compare(_next(_residual(group, (110, 1202))), "<", TEST)
    ),
    "warmup_ends_early": _warm_up,
    "cold_110_converges_late": _late,
    "warmup_changes_little": lambda group: like(group, _cold_and_warm(group), TEST),
    "options_differ_little_on_cifar": lambda group: (
        compare(_options(group, "AB", "BC", "AC"), "<", TEST, margin=Margin(LITTLE))
        + compare(_options(group, "AB", "BC", "AC"), ">", TEST, margin=Margin(LITTLE))
    ),
    "residual_responses_smaller": lambda group: _weaker(_twins(group)),
    "residual_deeper_responses_smaller": lambda group: _weaker(_next(_residual(group))),
    "plain_signals_healthy": lambda group: (
        limited(_plain(group), ">", LEAST_VARIANCE, VARIANCE, far="times")
        + limited(_plain(group), "<", MOST_ORDERS, GRADIENT, far="orders")
    ),
    "single_layer_no_advantage": lambda group: no_worse(group, _twins(group, "single"), "<", TRAIN, TEST),
    "highway_no_gain_beyond_100": sequel.highway,
    "resnet_detects_better_voc": _better_on_voc,
    "resnet_detects_better_coco": _better_on_coco,
    "gain_is_localization_too": _localizes,
    **sequel.CHECKS,
}
