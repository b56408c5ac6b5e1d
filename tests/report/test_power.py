"""How many runs decide a sentence: against the verdicts of made-up runs, and in the plan."""

import numpy as np
import pytest

from lit_resnet.grid.asked import Asked
from lit_resnet.report.claims import compare, power
from lit_resnet.report.claims.contrast import Sample


def test_the_power_is_how_often_the_verdict_comes():
    rng, errors = np.random.default_rng(0), {"a": 8.0, "b": 7.4, "c": 7.2}
    asked = compare.deeper([Sample(name, ()) for name in errors], ">")
    expected = power.power([one for one in asked if not one.step], errors, std=0.3, runs=3, images=10_000)
    held = 0
    for _ in range(400):
        nets = [
            Sample(name, tuple((mean + 0.3 * rng.standard_normal(3)).tolist()), images=10_000)
            for name, mean in errors.items()
        ]
        held += compare.verdict(compare.deeper(nets, ">")) == "holds"
    assert 0.2 < expected < 0.9
    assert held / 400 == pytest.approx(expected, abs=0.08)


def test_more_runs_decide_more_but_not_more_than_the_images_allow():
    errors, asked = {"a": 8.0, "b": 7.6}, [compare.pair(Sample("a", ()), ">", Sample("b", ()))]
    two, five, many = (power.power(asked, errors, 0.2, runs, None) for runs in (2, 5, 20))
    assert two < five < many
    assert many > 0.99
    assert power.power(asked, errors, 0.2, 20, 10_000) < 0.2


@pytest.mark.parametrize(
    ("grid", "sentences"),
    [
        ("table6", ["The deeper a residual net (up to 110 layers), the lower its test error”: 3 runs of each net"]),
        ("identity-mappings-table1", []),  # its errors are against the first paper's sentence on options
        (
            "identity-mappings-table2",
            [
                "or ReLU before it, nets test worse",
                "“With full pre-activation nets test better than in the original order”",
            ],
        ),
        ("quickstart", []),  # digits
        ("fig6-short", []),  # not the paper's length
        ("longer", []),  # some cells are not of its length
    ],
)
def test_what_a_grid_needs(grid: str, sentences: list[str]):
    found = [str(needed) for needed in power.needed(Asked(grid).grid)]
    assert len(found) == len(sentences)
    assert all(wanted in words for wanted, words in zip(sentences, found, strict=True))


def test_what_the_test_images_cannot_decide():
    found = {needed.sentence: needed for needed in power.needed(Asked("table3").grid)}
    options = found["Option B is a little better than A, and C a little better than B"]
    assert options.runs is None
    assert "20 runs of each net do not decide it by these test images, unless it is image by image" in str(options)
