"""The site: `sphinx-build -c docs . SITE`. Pages by MyST; the reference by AutoAPI, which reads the source as text.

The source folder is the repository's root, so that links from pages to results, grids and code are the same in a
checkout and on the site.
"""

from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.ext.napoleon import Config, GoogleDocstring

ROOT = Path(__file__).parents[1]

project = "lit_resnet"
author = copyright = "The lit_resnet authors"
release = (ROOT / "lit_resnet" / "__init__.py").read_text().partition('__version__ = "')[2].partition('"')[0]

extensions = ["myst_parser", "autoapi.extension"]
root_doc = "docs/index"
include_patterns = ["docs/**", "results/**.md", "CONTRIBUTING.md", "CHANGELOG.md"]
exclude_patterns = ["docs/_build"]
suppress_warnings = [
    "toc.not_included",  # a hundred pages of the reference in every page's menu cost half a minute
    "ref.python",  # `bytes` in a signature is Python's, whatever attribute has that name too
    "autoapi.python_import_resolution",  # constants that are assigned several in a line
]
default_role = "literal"  # docstrings write `names` in single backticks
myst_heading_anchors = 3

autoapi_dirs = [str(ROOT / "lit_resnet")]
autoapi_root = "docs/api"
autoapi_add_toctree_entry = False
autoapi_options = ["members", "undoc-members", "show-module-summary"]
autoapi_member_order = "bysource"

html_theme = "furo"
html_title = f"lit_resnet {release}"
html_show_sphinx = False


def google(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Napoleon for AutoAPI, but a property is a sentence: Napoleon would read a type before its first colon."""
    kind = "method" if what == "property" else what
    lines[:] = GoogleDocstring(lines, Config(napoleon_use_ivar=True), app, kind, name, obj, options).lines()


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", google)
