"""The page: one HTML file that can be sent to a colleague, with the table, the figures and the runs in it."""

from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from lit_resnet.listing import count, duration, percent
from lit_resnet.report import claims
from lit_resnet.report.claims import Claims
from lit_resnet.report.drawing import Drawing
from lit_resnet.report.runs import GridRuns
from lit_resnet.report.tables import NONE, Table, dates, seen


def html(
    grid: str, runs: GridRuns, checked: Claims, table: Table, drawings: list[Drawing], svgs: dict[str, str]
) -> str:
    """The page's text, which needs nothing beside it: figures and tables to download are in it.

    Args:
        grid: The grid and its settings as the user wrote them, for the command that repeats it.
        runs: The grid's runs.
        checked: The paper's sentences and what they say of them.
        table: Their table.
        drawings: The figures in their order, with captions.
        svgs: The SVG file's text of each drawn figure, by its name.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(whole=_whole, duration=duration, percent=percent)
    return environment.get_template("page.html.j2").render(
        runs=runs,
        claims=checked,
        claims_title=claims.TITLE,
        claims_note=claims.NOTE,
        table=table,
        drawings=drawings,
        svgs={name: _inline(name, svg) for name, svg in svgs.items()},
        downloads=[
            (kind, f"table.{suffix}", f"data:text/plain;charset=utf-8,{quote(text)}")
            for kind, suffix, text in (
                ("CSV", "csv", table.csv()),
                ("Markdown", "md", table.markdown()),
                ("LaTeX", "tex", table.latex()),
            )
        ],
        facts=list(filter(None, (runs.progress(), seen(runs, "data"), seen(runs, "device"), dates(runs)))),
        command=f"lit-resnet launch {grid}",
    )


def _inline(name: str, svg: str) -> Markup:
    """An SVG file's text as an element of the page. Its ids get the figure's name, for two figures share a page."""
    element = svg[svg.index("<svg") :]
    for before in (' id="', "url(#", 'href="#'):
        element = element.replace(before, f"{before}{name}-")
    return Markup(element)


def _whole(value: float | None) -> str:
    return NONE if value is None else count(value)
