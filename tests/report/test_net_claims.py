"""The paper's sentences about its nets: what is said of them, and that each can fail."""

import copy
import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from lit_resnet import paper
from lit_resnet.cli import main
from lit_resnet.nets import build
from lit_resnet.probes import complexity
from lit_resnet.probes.anatomy import Anatomy, Layer
from lit_resnet.report import net_claims
from lit_resnet.report.net_claims import CHECKS, sentences
from lit_resnet.report.verdicts import Claim

PAGE = Path(__file__).parents[2] / "docs" / "sentences.md"
PRINTED = paper.load()
DOES_NOT_HOLD = ["fewer_parameters"]  # Highway-32 has fewer

Net = tuple[str, int, str]
Change = Callable[[Anatomy], Anatomy]


@pytest.fixture(scope="module", autouse=True)
def counted_quickly() -> Iterator[None]:
    """By PyTorch's counter, which gives what fvcore gives (tests/probes/test_complexity.py)."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(complexity, "TRACED_LAYERS", 0)
        yield


@pytest.fixture(scope="module")
def found() -> dict[str, Claim]:
    return {claim.name: claim for claim in net_claims.check()}


def test_every_sentence_has_a_check_and_every_check_a_sentence():
    assert list(PRINTED["net_claims"]) == list(CHECKS) == list(SPOILT)
    assert all({"sentence", "where"} <= entry.keys() for entry in PRINTED["net_claims"].values())


def test_all_hold_but_one(found):
    assert [name for name, claim in found.items() if claim.verdict == "does not hold"] == DOES_NOT_HOLD
    assert {claim.verdict for claim in found.values()} == {"holds", "does not hold"}


@pytest.mark.parametrize(
    ("name", "evidence"),
    [
        ("deeper_than_vgg", "152 / 19 = 8.0; 11.28 against 19.63 billion multiply-adds"),
        ("fraction_of_vgg", "3.64 / 19.63 billion = 18.6 %, cut off"),
        ("more_projections", "16 - 3 projections = 13; 22.72 against 21.80 million parameters"),
        ("blocks_cost_alike", "73,728 and 69,632 at each position of the map, 5.6 % apart"),
        ("cifar_shortcuts", "n = 3, 5, 7, 9, 18 and 200: 9, 15, 21, 27, 54 and 600 shortcuts, 0 parameters in them"),
        (
            "gates_add_parameters",
            "1,727,962 with identities, 1,727,962 scaled or with dropout; 1,824,186 with gates, 96,224 more; 1,826,202 "
            "with convolutions, 98,240 more",
        ),
        ("fewer_parameters", "1.73 million against 2.5 of FitNet-19, 2.3 of Highway-19 and 1.25 of Highway-32"),
    ],
)
def test_the_numbers(found, name: str, evidence: str):
    assert found[name].evidence == evidence


def test_numbers_that_are_cut_off_are_called_so(found):
    assert "50-layer 3.86 (3.8, cut off), 101-layer 7.57 (7.6)," in found["multiply_adds"].evidence


# -- each can fail


def entry(**values: Any) -> Callable[[pytest.MonkeyPatch, str], None]:
    """Other numbers in the sentence's entry."""

    def spoil(patch: pytest.MonkeyPatch, name: str) -> None:
        printed = copy.deepcopy(PRINTED)
        printed["net_claims"][name] |= values
        patch.setattr(paper, "load", lambda: printed)

    return spoil


def row(table: str, net: str, **values: float) -> Callable[[pytest.MonkeyPatch, str], None]:
    """Other numbers in a table."""

    def spoil(patch: pytest.MonkeyPatch, name: str) -> None:
        printed = copy.deepcopy(PRINTED)
        for line in printed[table]["rows"]:
            if line["net"] == net:
                line |= values
        patch.setattr(paper, "load", lambda: printed)

    return spoil


def net(family: str, depth: int, shortcut: str, change: Change) -> Callable[[pytest.MonkeyPatch, str], None]:
    """Another net."""

    def spoil(patch: pytest.MonkeyPatch, name: str) -> None:
        def papers(*asked: Any) -> Anatomy:
            read = right(*asked)
            return change(read) if (*asked, "none")[:3] == (family, depth, shortcut) else read

        right = sentences.papers
        patch.setattr(sentences, "papers", papers)

    return spoil


def layer(place: int, **values: Any) -> Change:
    """One layer is another."""
    return lambda net: replace(net, layers=changed(net.layers, place, values))


def shortcut(place: int, **values: Any) -> Change:
    """One shortcut is another."""
    return lambda net: replace(net, shortcuts=changed(net.shortcuts, place, values))


def changed(parts: tuple, place: int, values: dict[str, Any]) -> tuple:
    return (*parts[:place], replace(parts[place], **values), *parts[place + 1 :])


def without_shortcut(net: Anatomy) -> Anatomy:
    return replace(net, shortcuts=net.shortcuts[:-1])


def pooled(net: Anatomy) -> Anatomy:
    pool = Layer("max pool", (2, 2), 256, 2, (7, 7), 0)
    return replace(net, layers=(*net.layers[:20], pool, *net.layers[20:]))


def small(net: Anatomy) -> Anatomy:
    return replace(net, layers=net.layers[:8])


def with_shortcuts(patch: pytest.MonkeyPatch, name: str) -> None:
    """Residual nets in place of plain ones: their added blocks are no identities."""
    patch.setattr(sentences, "build", lambda config: build(replace(config, shortcut="A")))


def counted(**other: int) -> Callable[[pytest.MonkeyPatch, str], None]:
    """Other numbers of parameters, of nets of a gate, shortcut or order."""

    def spoil(patch: pytest.MonkeyPatch, name: str) -> None:
        def params_of(**asked: Any) -> int:
            return next((other[value] for value in asked.values() if value in other), right(**asked))

        right = sentences.params_of
        patch.setattr(sentences, "params_of", params_of)

    return spoil


# For each sentence, what makes it another verdict.
SPOILT = {
    "deeper_than_vgg": [
        entry(value=9),
        net("vgg", 19, "none", small),
        net("imagenet", 152, "B", layer(9, macs=10**10)),
    ],
    "contains_shallower": [with_shortcuts],
    "twins_alike": [
        net("imagenet", 34, "A", shortcut(3, params=64)),
        net("cifar", 56, "none", layer(4, width=17)),
        net("cifar", 20, "A", shortcut(0, macs=1)),
    ],
    "filters_double": [
        net("cifar", 56, "none", layer(4, width=17)),
        net("imagenet", 18, "none", layer(4, macs=1)),
        net("imagenet", 34, "none", layer(9, map=(56, 56))),
    ],
    "strided_convolutions": [
        net("imagenet", 34, "A", pooled),
        net("cifar", 20, "A", lambda net: replace(net, layers=net.layers[:-2])),
    ],
    "fewer_filters_than_vgg": [net("imagenet", 34, "none", layer(5, width=256))],
    "fraction_of_vgg": [entry(value=17), net("vgg", 19, "none", small)],
    "shortcut_around_each_pair": [
        net("imagenet", 18, "A", without_shortcut),
        net("imagenet", 34, "A", shortcut(0, start=0)),
    ],
    "dotted_shortcuts": [
        net("imagenet", 34, "A", shortcut(3, stride=1)),
        net("imagenet", 34, "B", shortcut(4, kind="projection")),
    ],
    "normalized_without_dropout": [
        net("imagenet", 152, "B", layer(30, followed_by=("ReLU", "BatchNorm2d"))),
        net("cifar", 110, "A", layer(-1, followed_by=("Dropout",))),
    ],
    "more_projections": [entry(value=12), net("imagenet", 34, "C", shortcut(0, kind="identity"))],
    "projections_cost": [
        net("imagenet", 34, "A", shortcut(0, params=1)),
        net("imagenet", 34, "B", shortcut(3, macs=10**9)),
    ],
    "blocks_cost_alike": [entry(filters=[64, 128]), net("imagenet", 50, "B", layer(6, macs=0))],
    "projection_doubles_bottleneck": [entry(value=3), net("imagenet", 50, "C", shortcut(1, macs=0))],
    "bottlenecks_for_pairs": [entry(value=51), net("imagenet", 50, "B", without_shortcut)],
    "multiply_adds": [
        row("table1", "50-layer", gflops=4.1),
        entry(without_fc="VGG-19"),
        net("imagenet", 101, "B", layer(9, macs=0)),
    ],
    "cheaper_than_vgg": [net("vgg", 16, "none", small), net("imagenet", 101, "B", layer(9, macs=10**10))],
    "cifar_layers": [
        entry(n=[3, 5, 7, 9, 18]),
        entry(filters=[16, 32, 65]),
        entry(maps=[32, 16, 9]),
        net("cifar", 32, "A", layer(12, width=16)),
    ],
    "cifar_shortcuts": [
        entry(value=2),
        net("cifar", 44, "A", without_shortcut),
        net("cifar", 20, "A", shortcut(3, params=1)),
    ],
    "cifar_parameters": [row("table6", "ResNet-56", params=0.86), net("cifar", 110, "A", layer(0, params=10**5))],
    "fewer_parameters": [row("table6", "Highway", params=2.3)],
    "gates_add_parameters": [counted(scale=1), counted(exclusive=1_727_962), counted(C=1_727_962)],
    "resnet_164_parameters": [entry(value=1.8), counted(full=1_600_000)],
}


@pytest.mark.parametrize(
    ("name", "spoil"),
    [pytest.param(name, spoil, id=f"{name}-{i}") for name, spoils in SPOILT.items() for i, spoil in enumerate(spoils)],
)
def test_another_number_or_net_makes_another_verdict(
    found, name: str, spoil: Callable[[pytest.MonkeyPatch, str], None], monkeypatch: pytest.MonkeyPatch
):
    spoil(monkeypatch, name)
    assert CHECKS[name](paper.load()["net_claims"][name]).holds is (found[name].verdict != "holds")


# -- how they are shown


def test_every_format(found, capsys: pytest.CaptureFixture[str]):
    said = {}
    for form in ("csv", "json", "md", "table"):
        assert main(["nets", "--claims", "--format", form]) == 0
        said[form], note = capsys.readouterr()
        assert note == net_claims.NOTE + "\n"
    records = net_claims.rows(list(found.values()))
    assert list(csv.DictReader(io.StringIO(said["csv"]))) == json.loads(said["json"]) == records
    lines = said["md"].splitlines()
    assert lines[0] == "| verdict | the paper | where | the nets |"
    assert {len(re.findall(r"\|", line)) for line in lines} == {5}
    assert len(lines) == 2 + len(found)
    assert all(claim.sentence.split()[-1] in said["table"] for claim in found.values())


def test_a_narrow_terminal_folds_and_cuts_nothing(found):
    console = Console(width=80, file=io.StringIO())
    console.print(net_claims.terminal(list(found.values())))
    shown = console.file.getvalue()
    assert max(map(len, shown.splitlines())) <= 80
    words = re.sub(r"(?m)^ *(does not hold|holds)? *", "", shown).split()
    wanted = [f"{claim.sentence} [{claim.where}] {claim.evidence}" for claim in found.values()]
    assert words[-len(" ".join(wanted).split()) :] == " ".join(wanted).split()


def test_the_page_shows_what_the_command_says(found, capsys: pytest.CaptureFixture[str]):
    assert main(["nets", "--claims", "--format", "md"]) == 0
    said = capsys.readouterr().out
    assert f"<!-- nets -->\n{said}<!-- /nets -->" in PAGE.read_text(), f"should be:\n{said}"


def test_the_page_lists_every_sentence_that_is_checked():
    page = PAGE.read_text()
    listed = page[page.index("## All sentences") :]
    names = re.findall(r"`([a-z]\w*_\w+)`", listed)
    runs = [name for name, said in PRINTED["claims"].items() if "sentence" in said]
    assert sorted(set(names)) == sorted([*runs, *PRINTED["net_claims"]])
