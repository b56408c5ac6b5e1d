"""Fig. 7: in how many of its layers does one net respond less than another? Layer by layer, not by means over them."""

import math
from statistics import fmean

import numpy as np

from lit_resnet.report.claims.alike import Net
from lit_resnet.report.claims.compare import Comparison
from lit_resnet.report.claims.contrast import Contrast, Sample

HALF = 50.0  # percent of the layers
LEAST = 3  # runs of each net: the four pairs of two and two are too alike for a test


def weaker(net: Net, other: Net) -> Comparison:
    """In more than half of the layers `net` responds less than `other` at the same place.

    The share of such layers is taken for each run of the one with each run of the other. Its variance over seeds is
    that of a two-sample U-statistic: of the means over the other net's runs, and over this net's (DeLong et al. 1988).
    Nets of two depths are compared at the layers of the shallower one, the deeper one's responses being interpolated to
    their relative depth.
    """
    own, others = _responses(net), _responses(other)
    lacking = (
        Sample(one.name, (), lacking="not measured" if one.runs else "missing")
        for one, found in ((other, others), (net, own))
        if not found
    )
    if missing := tuple(lacking):
        return Comparison(Contrast(missing, (-1.0,) * len(missing)), missing)
    places = min(len(own[0]), len(others[0]))
    mine, theirs = ([_at(responses, places) for responses in found] for found in (own, others))
    shares = np.array([[100 * np.mean(a < b) for b in theirs] for a in mine])
    grain = 100 / places
    ours = Sample(f"{net.name} below {other.name}", tuple(shares.mean(1).tolist()), grain)
    rest = Sample(other.name, tuple((shares.mean(0) - fmean(ours.values)).tolist()), grain)
    return Comparison(Contrast((ours, rest), (-1.0, -1.0), -HALF, least=LEAST), (ours,), HALF)


def _responses(net: Net) -> list[list[float]]:
    """Of the runs that have measured them, without those that diverged."""
    found = [run.responses for run in net.runs]
    return [responses for responses in found if responses and all(map(math.isfinite, responses))]


def _at(responses: list[float], places: int) -> np.ndarray:
    """Responses at so many places, evenly from the first layer to the last."""
    return np.interp(np.linspace(0, 1, places), np.linspace(0, 1, len(responses)), responses)
