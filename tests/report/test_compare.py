"""Comparisons, their verdict, and the words of the evidence."""

import pytest

from lit_resnet.report.claims.compare import Comparison, by, deeper, limit, pair, verdict
from lit_resnet.report.claims.contrast import Margin, Sample
from lit_resnet.report.claims.words import words

LOW, HIGH, TOP = (6.4, 6.6, 6.5, 6.7, 6.3), (6.9, 7.4, 7.0, 7.1, 7.6), (8.1, 8.0, 8.3, 8.2, 8.1)


def net(*values: float, name: str = "net") -> Sample:
    return Sample(name, values)


def text(comparisons: list[Comparison], digits: int = 2) -> str:
    return words("error %", digits, comparisons, comparisons)


@pytest.mark.parametrize("claimed", ["<", ">"])
@pytest.mark.parametrize("others", [1, 5])
def test_one_run_gives_no_verdict_whatever_the_numbers(claimed, others):
    one = pair(net(1.0, name="a"), claimed, net(*[9.0 + i / 10 for i in range(others)], name="b"))
    assert verdict([one]) == "not enough runs"
    which = "as claimed" if claimed == "<" else "the other way round"
    assert (f"one run each, {which}" if others == 1 else f"n = 1 to 5; too few runs of some to test, {which}") in text(
        [one]
    )


def test_only_a_limit_that_is_far_away_needs_no_test():
    assert verdict([limit(net(0.5), ">", 1e-3, "times")]) == "holds"
    assert verdict([limit(net(1e-5), ">", 1e-3, "times")]) == "does not hold"
    assert verdict([limit(net(0.005), ">", 1e-3, "times")]) == "not enough runs", "not far enough for one run"
    assert verdict([limit(net(0.9), "<", 3, "orders")]) == "holds"
    assert verdict([limit(net(2.5), "<", 3, "orders")]) == "not enough runs"
    assert verdict([limit(net(0.5), ">", 1e-3)]) == "not enough runs", "of a claim that says so"
    assert verdict([limit(net(70, 71, 69), ">", 60)]) == "holds"
    assert verdict([limit(net(50, 51, 49), ">", 60)]) == "does not hold"


def test_all_pairs_have_to_hold():
    sure, unsure = pair(net(*LOW), "<", net(*HIGH)), pair(net(1.0, 2.0), "<", net(1.5, 2.4))
    assert verdict([sure]) == verdict([sure, sure]) == "holds"
    assert verdict([sure, unsure]) == "not enough runs"


def test_the_more_pairs_the_surer_one_has_to_be_to_refute():
    against = pair(net(1.0, 1.3, 1.6, 1.3), "<", net(0.5, 0.9, 0.8, 0.9))
    assert against.p is not None
    assert 0.01 < 1 - against.p <= 0.025
    holds = pair(net(*LOW), "<", net(*HIGH))
    assert verdict([against]) == verdict([against, holds]) == "does not hold"
    assert verdict([against, holds, holds, holds, holds, holds]) == "not enough runs"


def test_what_is_missing_can_neither_hold_nor_hide_what_does_not():
    holds, missing = pair(net(*LOW), "<", net(*HIGH)), pair(net(*LOW), "<", net())
    against = pair(net(*HIGH), "<", net(*LOW))
    assert verdict([missing]) == verdict([holds, missing]) == "not enough runs"
    assert verdict([against, missing]) == "does not hold"


def test_a_trend_holds_though_a_step_is_undecided():
    line = [net(*LOW, name="a"), net(*(v + 0.01 for v in LOW), name="b"), net(*HIGH, name="c"), net(*TOP, name="d")]
    compared = deeper(line, "<")
    assert verdict(compared) == "holds"
    assert text(compared) == (
        "error %: a 6.50±0.16 < b 6.51±0.16 < c 7.20±0.29 < d 8.14±0.11 "
        "(n = 5; undecided: a and b (p = 0.46); the trend: p < 0.001)"
    )
    assert verdict(deeper(line, ">")) == "does not hold"
    falls = [*line, net(*LOW, name="e")]
    assert verdict(deeper(falls, "<")) == "does not hold", "a step that is found the other way round"
    assert "against it: d and e (p < 0.001)" in text(deeper(falls, "<"))


def test_a_trend_whose_steps_are_out_of_order_does_not_hold():
    """Four nets that are equal and a fifth that is better are no line in which each is better than the last."""
    equal, low = (9.0, 9.1, 8.9), (6.0, 6.1, 5.9)
    line = [net(*equal), net(*(v + 0.05 for v in equal)), net(*equal), net(*low)]
    assert deeper(line, ">")[0].p < 0.05
    assert verdict(deeper(line, ">")) == "not enough runs"


def test_a_trend_needs_runs_of_all_depths():
    line = [net(*LOW, name="a"), net(7.0, name="b"), net(*TOP, name="c")]
    assert verdict(deeper(line, "<")) == "not enough runs"
    assert "n = 1 to 5; too few runs of some to test, as claimed" in text(deeper(line, "<"))
    assert verdict(deeper([net(*LOW), net(), net(*TOP)], "<")) == "not enough runs"
    assert len(deeper(line[:2], "<")) == 1, "two depths are a pair"


def test_by_how_much_is_a_comparison_for_each_side():
    near, far = net(9.9, 10.0, 10.1, name="b"), net(12.9, 13.0, 13.1, name="a")
    assert verdict(by(far, near, 3.0, Margin(0.5))) == "holds"
    assert verdict(by(far, near, 2.0, Margin(0.5))) == verdict(by(far, near, 4.0, Margin(0.5))) == "does not hold"


def test_words():
    a, b, c = (net(*values, name=name) for values, name in ((LOW, "a"), (HIGH, "b"), ((), "c")))
    assert (
        text([pair(a, "<", b), pair(b, "<", c)]) == "error %: a 6.50±0.16 < b 7.20±0.29, c missing (n = 5; p = 0.0046)"
    )
    two = [pair(b, ">", a), pair(net(3.0, name="d"), ">", net(2.0, name="e"))]
    assert text(two, 1) == (
        "error %: b 7.2±0.3 > a 6.5±0.2; d 3.0 > e 2.0 "
        "(n = 1 to 5; too few runs of some to test, as claimed; p = 0.0046)"
    )
    similar = [pair(a, "<", b, Margin(0.5)), pair(a, ">", b, Margin(0.5))]
    assert text(similar) == "error %: a 6.50±0.16 < b 7.20±0.29 (n = 5; margin 0.50; undecided: a and b (p = 0.88))"
    assert text([pair(b, "<", a)]).endswith("b 7.20±0.29 > a 6.50±0.16 (n = 5; against it: b and a (p = 0.0046))")
    assert text([limit(a, ">", 60)]).startswith("error %: a 6.50±0.16 < 60 (n = 5; against it: a (p < 0.001)")
    assert text([limit(c, ">", 60)]) == "error %: c missing"
    mixed = [pair(net(1.0, name="a"), "<", net(2.0, name="b")), pair(net(3.0, name="c"), "<", net(2.0, name="d"))]
    assert text(mixed).endswith("(one run each, not all as claimed)")
    equal = [pair(net(2.0, name="a"), ">", net(2.0, name="b"))]
    assert text(equal) == "error %: a 2.00 = b 2.00 (one run each, not all as claimed)"
