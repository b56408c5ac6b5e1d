"""The tests over seeds, against scipy's own and by hand."""

import pytest
from scipy import stats

from lit_resnet.report.claims.compare import Pair, Sample, verdict, words

LOW, HIGH = (6.4, 6.6, 6.5, 6.7, 6.3), (6.9, 7.4, 7.0, 7.1, 7.6)


def sample(*values, name="net"):
    return Sample(name, values)


def limit(value):
    return Sample("", (value,), exact=True)


def test_over_seeds_it_is_welchs_one_sided_test():
    pair = Pair(sample(*LOW), sample(*HIGH), "<")
    assert pair.p == pytest.approx(stats.ttest_ind(LOW, HIGH, equal_var=False, alternative="less").pvalue)
    assert Pair(sample(*HIGH), sample(*LOW), ">").p == pytest.approx(pair.p)
    assert Pair(sample(*HIGH), sample(*LOW), "<").p == pytest.approx(1 - pair.p)


def test_a_margin_is_room_for_what_is_claimed():
    shifted = [value + 0.44 for value in LOW]
    expected = stats.ttest_ind(HIGH, shifted, equal_var=False, alternative="less").pvalue
    assert Pair(sample(*HIGH), sample(*LOW), "<", margin=0.44).p == pytest.approx(expected)
    assert Pair(sample(*LOW), sample(*HIGH), ">", margin=0.44).p == pytest.approx(expected)


def test_one_run_beside_several_borrows_their_spread():
    # Student's t of one new value: (mean - x) / (s sqrt(1 + 1/n)), n - 1 degrees of freedom.
    mean, std = 7.2, stats.tstd(HIGH)
    expected = stats.t.sf((mean - 6.5) / (std * (1 + 1 / 5) ** 0.5), 4)
    assert Pair(sample(6.5), sample(*HIGH), "<").p == pytest.approx(expected)


def test_a_number_of_the_paper_has_no_spread():
    expected = stats.ttest_1samp(HIGH, 6.8, alternative="greater").pvalue
    assert Pair(sample(*HIGH), limit(6.8), ">").p == pytest.approx(expected)


@pytest.mark.parametrize(
    ("left", "claimed", "right", "margin", "p"),
    [
        (1.0, "<", 2.0, 0.0, 0.0),
        (2.0, "<", 1.0, 0.0, 1.0),
        (2.0, ">", 1.0, 0.0, 0.0),
        (1.0, "<", 1.0, 0.0, 1.0),
        (1.3, "<", 1.0, 0.44, 0.0),
        (1.5, "<", 1.0, 0.44, 1.0),
        (1.0, ">", 1.3, 0.44, 0.0),
    ],
)
def test_one_run_each_goes_by_the_numbers(left, claimed, right, margin, p):
    pair = Pair(sample(left), sample(right), claimed, margin)
    assert pair.p == p
    assert verdict([pair]) == ("holds" if p == 0 else "does not hold")
    assert "one run each, no test" in words("error", 2, [pair], [pair])


def test_equal_seeds_are_no_number_without_meaning():
    same = Pair(sample(90.0, 90.0), sample(90.0, 90.0), "<")
    assert verdict([same]) == "not enough runs"
    assert verdict([Pair(sample(0.0, 0.0), sample(90.0, 90.0), "<")]) == "holds"
    assert verdict([Pair(sample(90.0, 90.0), sample(90.0, 90.0), "<", margin=0.44)]) == "holds"


def test_all_pairs_have_to_hold():
    sure, unsure = Pair(sample(*LOW), sample(*HIGH), "<"), Pair(sample(1.0, 2.0), sample(1.5, 2.4), "<")
    assert sure.p < 0.05 < unsure.p < 0.5
    assert verdict([sure]) == verdict([sure, sure]) == "holds"
    assert verdict([sure, unsure]) == "not enough runs"


def test_the_more_pairs_the_surer_one_has_to_be_to_refute():
    against = Pair(sample(1.0, 1.3, 1.6), sample(0.5, 0.9, 0.8), "<")
    assert 0.025 < 1 - against.p <= 0.05
    holds = Pair(sample(*LOW), sample(*HIGH), "<")
    assert verdict([against]) == "does not hold"
    assert verdict([against, holds]) == "not enough runs"


def test_what_is_missing_can_neither_hold_nor_hide_what_does_not():
    holds, missing = Pair(sample(*LOW), sample(*HIGH), "<"), Pair(sample(*LOW), sample(), "<")
    against = Pair(sample(*HIGH), sample(*LOW), "<")
    assert verdict([missing]) == verdict([holds, missing]) == "not enough runs"
    assert verdict([against, missing]) == "does not hold"


def test_words():
    a, b, c = (sample(*values, name=name) for values, name in ((LOW, "a"), (HIGH, "b"), ((), "c")))
    chain = [Pair(a, b, "<"), Pair(b, c, "<")]
    assert words("error %", 2, chain, chain) == "error %: a 6.50±0.16 < b 7.20±0.29, c missing (n = 5; p = 0.0015)"
    two = [Pair(b, a, ">"), Pair(sample(3.0, name="d"), sample(2.0, name="e"), ">")]
    assert words("error %", 1, two, two) == (
        "error %: b 7.2±0.3 > a 6.5±0.2; d 3.0 > e 2.0 (n = 1 to 5; no test of one run each; p = 0.0015)"
    )
    similar = [Pair(a, b, "<", 0.5), Pair(a, b, ">", 0.5)]
    assert words("error %", 2, similar, similar) == (
        "error %: a 6.50±0.16 < b 7.20±0.29 (n = 5; margin 0.50; undecided: a and b (p = 0.89))"
    )
    wrong = [Pair(b, a, "<")]
    assert words("error %", 2, wrong, wrong).endswith(
        "b 7.20±0.29 > a 6.50±0.16 (n = 5; against it: b and a (p = 0.0015))"
    )
    assert words("error %", 2, [Pair(a, limit(60), ">")], []).startswith("error %: a 6.50±0.16 < 60 (")
    assert words("error %", 2, [Pair(c, limit(60), ">")], []) == "error %: c missing"
