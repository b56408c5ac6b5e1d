"""What "like", "comparable" and "no worse" mean: nearer than two runs of one and the same net are in 19 of 20 cases."""

from lit_resnet import paper
from lit_resnet.metrics import MAP50, TEST_ERROR
from lit_resnet.report.claims.alike import Group
from lit_resnet.report.claims.contrast import REPEATABLE, Margin
from lit_resnet.report.claims.measures import CENTER, TEST, TRAIN, Measure

TOLD_APART = 0.1  # points of training error: the paper gives those of its deepest nets as "< 0.1 %" (Sec. 4.2)


def alike(group: Group, measure: Measure) -> Margin:
    """The margin of a measure.

    A published std over runs counts for the quantity, the data and the length of training that it is of. Everything
    else is measured by the spread of the runs that are compared.
    """
    if measure in (TEST, CENTER):
        for known in paper.spreads():
            trained = (known.metric, known.data, known.steps, known.batch_size)
            if trained == (TEST_ERROR.name, group.data, group.steps, group.batch_size):
                return Margin(REPEATABLE * known.std)
    return Margin(TOLD_APART if measure == TRAIN else 0.0, own=True)


def of_detectors() -> Margin:
    """The margin of mAP on PASCAL VOC: of the one published spread of such detectors, whatever their net and sets."""
    known = next(spread for spread in paper.spreads() if spread.metric == MAP50.name)
    return Margin(REPEATABLE * known.std, of=known.of)
