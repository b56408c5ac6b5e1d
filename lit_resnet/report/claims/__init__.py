"""The paper's sentences, checked against the runs of a grid."""

import csv
import io
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, get_args

from lit_resnet import paper
from lit_resnet.report import verdicts
from lit_resnet.report.claims import compare, sentences, sequel
from lit_resnet.report.claims.alike import about_the_paper, groups
from lit_resnet.report.claims.compare import Comparison
from lit_resnet.report.claims.measures import Measure
from lit_resnet.report.claims.sentences import CHECKS
from lit_resnet.report.claims.words import words
from lit_resnet.report.runs import GridRuns
from lit_resnet.report.tables.table import Table
from lit_resnet.report.verdicts import Claim, Verdict

if TYPE_CHECKING:
    from rich.table import Table as RichTable

TITLE = "What the paper says, and what these runs say"
NOTE = (
    "Only nets that were trained alike are compared. A sentence holds if each of its comparisons passes a one-sided "
    f"t-test over seeds at {100 * compare.LEVEL:g} % (Cochran and Cox), in which the number of test images counts. A "
    "sentence about depth is tested as a trend over all depths. It does not hold if a comparison, or a step of a "
    f"trend, is found the other way round, at {100 * compare.LEVEL:g} % over all of them (Holm). Otherwise more runs "
    "are needed (--seeds 0-4, say): nets of one run are compared, but not tested."
)


@dataclass(frozen=True)
class Claims:
    """The sentences that a grid has nets for; there may be none."""

    found: tuple[Claim, ...]

    def counted(self) -> str:
        """`5 × holds, 2 × not enough runs`."""
        counts = Counter(claim.verdict for claim in self.found)
        return ", ".join(f"{counts[verdict]} × {verdict}" for verdict in get_args(Verdict) if counts[verdict])

    @property
    def note(self) -> str:
        """How verdicts are reached, and what words such as `comparable` mean in these sentences."""
        about = {
            "detectors" if c.name in sentences.DETECTORS else "shortcuts" if c.name in sequel.CHECKS else ""
            for c in self.found
        }
        more = {"": sentences.NOTE, "shortcuts": sequel.NOTE, "detectors": sentences.DETECTORS_NOTE}
        return " ".join([NOTE, *(words for which, words in more.items() if which in about)])

    def csv(self) -> str:
        """A row for each claim; the columns are the fields of `Claim`."""
        text = io.StringIO()
        writer = csv.DictWriter(text, [field.name for field in fields(Claim)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(claim) for claim in self.found)
        return text.getvalue()

    def markdown(self) -> str:
        """A table of GitHub's Markdown, its note below."""
        return Table(
            title=TITLE,
            header=("verdict", "the paper", "where", "these runs"),
            rows=tuple((claim.verdict, claim.sentence, claim.where, claim.evidence) for claim in self.found),
            text_columns=4,
            note=self.note,
            records=(),
        ).markdown()

    def terminal(self) -> "RichTable":
        """For rich's `Console.print`; see `verdicts.terminal`."""
        return verdicts.terminal(TITLE, self.found)


def check(runs: GridRuns) -> Claims:
    """Check the sentences that the grid has nets for, in the order of printed.yaml; none if it is not about the paper.

    Raises:
        InputError: A responses.csv or signals.csv is damaged, or the grid has a depth that is no whole number.
    """
    if not about_the_paper(runs):
        return Claims(())
    alike = groups(runs)
    found = []
    for name, printed in paper.load()["claims"].items():
        if "sentence" not in printed:
            continue
        compared: dict[Measure, list[Comparison]] = defaultdict(list)
        for group in alike:
            if printed.get("family", group.family) == group.family:
                for measure, one in CHECKS[name](group):
                    compared[measure].append(one)
        known = any(measure.read(run) is not None for measure in compared for run in runs.finished)
        if known and (every := [one for ones in compared.values() for one in ones]):
            evidence = "; ".join(words(m.label, m.digits, ones, every) for m, ones in compared.items())
            sentence = printed["sentence"].format(value=printed.get("value"))
            found.append(Claim(name, sentence, printed["where"], compare.verdict(every), evidence))
    return Claims(tuple(found))
