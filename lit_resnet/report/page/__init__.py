"""The page: one HTML file that can be sent to a colleague, with the tables, the figures and the runs in it."""

import re
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from lit_resnet.grid import exhibits
from lit_resnet.report import claims
from lit_resnet.report.claims import Claims
from lit_resnet.report.figures.drawing import Drawing
from lit_resnet.report.page import explore
from lit_resnet.report.page.odd import odd, rule
from lit_resnet.report.page.thinned import thin
from lit_resnet.report.runs import GridRuns
from lit_resnet.report.tables.cells import dates, seen
from lit_resnet.report.tables.table import Table

TOPS = (50, 20, 10)  # percent: ends of the axis, to look at small errors


def html(
    command: str,
    runs: GridRuns,
    checked: Claims,
    tables: dict[str, Table],
    drawings: list[Drawing],
    svgs: dict[str, str],
) -> str:
    """The page's text. It loads no other file: the figures, and the tables to download, are in it.

    Args:
        command: The command line that trains the runs and writes this page again.
        runs: The grid's runs.
        checked: The paper's sentences and what the runs say of them.
        tables: The tables in their order, by the names of their files; `table`, of all nets, is among them.
        drawings: The figures in their order, with captions.
        svgs: The SVG file's text of each drawn figure, by its name.
    """
    oddities, thinned = odd(runs), thin(runs)
    columns = explore.columns(runs, oddities)
    beside = Path(__file__).parent
    environment = Environment(
        loader=FileSystemLoader(beside),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["breakable"] = _breakable
    # `tojson` escapes what would end the script. NaN is refused: it is not JSON, and a browser would reject the whole.
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False}
    return environment.get_template("page.html.j2").render(
        runs=runs,
        claims=checked,
        claims_title=claims.TITLE,
        claims_note=checked.note,
        tables=tables,
        all_nets=exhibits.ALL_NETS,
        downloads=_downloads,
        columns=columns,
        oddities=oddities,
        odd_rule=rule(runs.headline),
        headline=runs.headline,
        tops=TOPS if runs.headline.unit == "%" and runs.headline.better == "lower" else (),
        others=[metric for metric in runs.final if metric != runs.headline],
        thinned=thinned,
        data=explore.data(runs, oddities, columns, thinned),
        css=Markup((beside / "page.css").read_text()),
        script=Markup((beside / "page.js").read_text()),
        drawings=drawings,
        svgs={name: _inline(name, svg) for name, svg in svgs.items()},
        facts=list(filter(None, (runs.progress(), seen(runs, "data"), seen(runs, "device"), dates(runs)))),
        command=command,
    )


def _downloads(name: str, table: Table) -> list[tuple[str, str, str]]:
    """A table's files: the kind, the name, and the content as an address."""
    kinds = {"csv": "CSV", "md": "Markdown", "tex": "LaTeX"}
    return [
        (kinds[form], f"{name}.{form}", f"data:text/plain;charset=utf-8,{quote(text)}")
        for form, text in table.files().items()
    ]


def _breakable(text: str) -> Markup:
    """Text as HTML that a narrow column breaks between the parts of a cell's name: after `,`, `=` and `_`."""
    return Markup("<wbr>").join(re.findall(r"[^,=_]*[,=_]+|[^,=_]+", text))


def _inline(name: str, svg: str) -> Markup:
    """An SVG file's text as an element of the page. Its ids get the figure's name, for two figures share a page."""
    element = svg[svg.index("<svg") :]
    for before in (' id="', "url(#", 'href="#'):
        element = element.replace(before, f"{before}{name}-")
    return Markup(element)
