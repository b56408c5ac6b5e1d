"""The paper's sentences about CIFAR nets, looked for in the runs of a grid."""

import csv
import io
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Container
from dataclasses import asdict, dataclass, fields
from itertools import chain, pairwise, product
from typing import TYPE_CHECKING, Literal, get_args

from lit_resnet.report import compare, paper
from lit_resnet.report.alike import Group, Net, groups
from lit_resnet.report.compare import Pair, Sample, Verdict
from lit_resnet.report.measures import GRADIENT, RESPONSE, TEST, TRAIN, VARIANCE, Measure
from lit_resnet.report.runs import GridRuns
from lit_resnet.report.tables import Table

if TYPE_CHECKING:
    from rich.table import Table as RichTable

STD = paper.test_error("cifar10", "cifar", 110, "A").std
# "Not worse" and "similar" mean: nearer than two runs of one and the same net are in 19 of 20 cases, which is
# 1.96 sqrt(2) times the std over runs (ISO 5725 calls it the repeatability limit); the std is the paper's.
MARGIN = 1.96 * math.sqrt(2) * STD
# A signal has vanished (or exploded) at a thousandth: what does so changes by a factor a layer, and even 1.2 is a
# thousand after 38 layers, of which a 44-layer net has more. Layers of other widths, or with other scales of BN, are a
# factor of ten or a hundred apart. BN starts each layer's variance at 1; gradients have but each other to compare with.
LEAST_VARIANCE, MOST_ORDERS = 1e-3, 3.0
ANY = range(10_000)  # depths

TITLE = "What the paper says, and what these runs say"
NOTE = (
    "Compared are nets that were trained alike. A sentence holds if all its comparisons do: over seeds, by one-sided "
    f"Welch t-tests at {100 * compare.LEVEL:g} %. It does not hold if one of them is found the other way round, at "
    f"{100 * compare.LEVEL:g} % over all of them (Holm). Otherwise more runs have to say. With one run each the "
    "numbers decide, untested. To train no worse, to train like and to be similar mean: within the margin of "
    f"{MARGIN:.2f} points, by which two runs of one net may differ (95 %) if their std is the paper's {STD}."
)
COLOURS: dict[Verdict, str] = {"holds": "green", "does not hold": "red", "not enough runs": "yellow"}


@dataclass(frozen=True)
class Claim:
    """A sentence of the paper, and what the runs say of it.

    Args:
        name: Its key in paper.yaml.
        sentence: What the paper says, in our words.
        where: Its section, table or figure.
        verdict: `holds`, `does not hold` or `not enough runs`.
        evidence: The numbers behind the verdict, in a line.
    """

    name: str
    sentence: str
    where: str
    verdict: Verdict
    evidence: str


@dataclass(frozen=True)
class Claims:
    """The sentences that a grid has nets for; none if it has for none."""

    found: tuple[Claim, ...]

    def counted(self) -> str:
        """`5 × holds, 2 × not enough runs`."""
        counts = Counter(claim.verdict for claim in self.found)
        return ", ".join(f"{counts[verdict]} × {verdict}" for verdict in get_args(Verdict) if counts[verdict])

    def csv(self) -> str:
        """A row for each, under the names of their fields."""
        text = io.StringIO()
        writer = csv.DictWriter(text, [field.name for field in fields(Claim)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(map(asdict, self.found))
        return text.getvalue()

    def markdown(self) -> str:
        """A table, its note below."""
        return Table(
            title=TITLE,
            header=("verdict", "the paper", "where", "these runs"),
            rows=tuple((claim.verdict, claim.sentence, claim.where, claim.evidence) for claim in self.found),
            text_columns=4,
            note=NOTE,
            records=(),
        ).markdown()

    def terminal(self) -> "RichTable":
        """For rich's `Console.print`: verdict, sentence and numbers, folded to the terminal's width."""
        from rich import box
        from rich.table import Table as RichTable
        from rich.text import Text

        made = RichTable(title=TITLE, box=box.SIMPLE_HEAD, show_header=False, pad_edge=False)
        made.add_column(no_wrap=True)
        made.add_column(max_width=80)
        for claim in self.found:
            words = Text(f"{claim.sentence} ").append(f"[{claim.where}]\n{claim.evidence}", style="dim")
            made.add_row(Text(claim.verdict, style=COLOURS[claim.verdict]), words)
        return made


def check(runs: GridRuns) -> Claims:
    """The sentences that the grid has nets for, in the order of paper.yaml.

    Raises:
        InputError: A responses.csv or signals.csv is damaged, or the grid has a depth that is no whole number.
    """
    alike = groups(runs)
    found = []
    for name, printed in paper.load()["claims"].items():
        if "sentence" not in printed:
            continue
        compared: dict[Measure, list[Pair]] = defaultdict(list)
        for measure, pair in (one for group in alike for one in CHECKS[name](group)):
            compared[measure].append(pair)
        known = {m: pairs for m, pairs in compared.items() if any(m.read(run) is not None for run in runs.finished)}
        if every := [pair for pairs in known.values() for pair in pairs]:
            evidence = "; ".join(compare.words(m.label, m.digits, pairs, every) for m, pairs in known.items())
            sentence = printed["sentence"].format(value=printed.get("value"))
            found.append(Claim(name, sentence, printed["where"], compare.verdict(every), evidence))
    return Claims(tuple(found))


# -- what each sentence compares

Sign = Literal["<", ">"]
Compared = list[tuple[Measure, Pair]]
Couples = list[tuple[Net, Net]]


def _compare(couples: Couples, claimed: Sign, *measures: Measure, margin: float = 0.0) -> Compared:
    return [(m, Pair(m.of(left), m.of(right), claimed, margin)) for m in measures for left, right in couples]


def _limit(nets: list[Net], claimed: Sign, limit: float, *measures: Measure) -> Compared:
    return [(m, Pair(m.of(net), Sample("", (limit,), exact=True), claimed)) for m in measures for net in nets]


def _printed(group: Group, nets: list[Net], claimed: Sign, claim: str, *measures: Measure) -> Compared:
    """Against the claim's number in paper.yaml, if the nets were trained as the paper's."""
    return _limit(nets, claimed, paper.load()["claims"][claim]["value"], *measures) if group.as_in_the_paper else []


def _plain(group: Group, depths: Container[int] = ANY) -> list[Net]:
    return [net for net in group.by_depth("none") if net.depth in depths]


def _residual(group: Group, depths: Container[int] = ANY) -> list[list[Net]]:
    """For each shortcut option its nets of these depths."""
    return [[net for net in group.by_depth(option) if net.depth in depths] for option in group.options]


def _deeper(lines: list[list[Net]]) -> Couples:
    """Each net with the next deeper one of its line."""
    return [couple for line in lines for couple in pairwise(line)]


def _twins(group: Group, block: str = "paper") -> Couples:
    """Each plain net with the residual nets of its depth."""
    residual = [net for option in group.options for net in group.by_depth(option, block)]
    return [(plain, net) for plain, net in product(_plain(group), residual) if plain.depth == net.depth]


def _cold_and_warm(group: Group) -> Couples:
    """Residual nets of 110 layers, without and with warm-up."""
    nets = [net for net in group.nets if (net.depth, net.block) == (110, "paper") and net.shortcut != "none"]
    couples = product((net for net in nets if not net.warm), (net for net in nets if net.warm))
    return [(cold, warm) for cold, warm in couples if cold.shortcut == warm.shortcut]


CHECKS: dict[str, Callable[[Group], Compared]] = {
    "plain_deeper_trains_worse": lambda group: _compare(_deeper([_plain(group)]), "<", TRAIN),
    "plain_110_error_above": lambda group: _printed(
        group, _plain(group, (110,)), ">", "plain_110_error_above", TRAIN, TEST
    ),
    "residual_deeper_trains_no_worse": lambda group: _compare(_deeper(_residual(group)), ">", TRAIN, margin=MARGIN),
    "residual_trains_better": lambda group: _compare(_twins(group), ">", TRAIN),
    "residual_tests_better": lambda group: _compare(_twins(group), ">", TEST),
    "residual_deeper_tests_better": lambda group: _compare(_deeper(_residual(group, range(111))), ">", TEST),
    "resnet_1202_train_error_below": lambda group: _printed(
        group, [*chain(*_residual(group, (1202,)))], "<", "resnet_1202_train_error_below", TRAIN
    ),
    "resnet_1202_overfits": lambda group: (
        _compare(_deeper(_residual(group, (110, 1202))), ">", TRAIN, margin=MARGIN)
        + _compare(_deeper(_residual(group, (110, 1202))), "<", TEST)
    ),
    "warmup_changes_little": lambda group: (
        _compare(_cold_and_warm(group), "<", TEST, margin=MARGIN)
        + _compare(_cold_and_warm(group), ">", TEST, margin=MARGIN)
    ),
    "residual_responses_smaller": lambda group: _compare(_twins(group), ">", RESPONSE),
    "residual_deeper_responses_smaller": lambda group: _compare(_deeper(_residual(group)), ">", RESPONSE),
    "plain_signals_healthy": lambda group: (
        _limit(_plain(group), ">", LEAST_VARIANCE, VARIANCE) + _limit(_plain(group), "<", MOST_ORDERS, GRADIENT)
    ),
    "single_layer_no_advantage": lambda group: _compare(_twins(group, "single"), "<", TRAIN, TEST, margin=MARGIN),
}
