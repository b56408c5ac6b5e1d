"""The versions that are tested: every dependency has one, and nobody is bound by them."""

import re
import tomllib
from itertools import chain
from pathlib import Path

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LINES = (ROOT / "constraints.txt").read_text().splitlines()


def name(text: str) -> str:
    return re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", text)[0]).lower()


def test_every_dependency_has_a_tested_version():
    lists = [*PROJECT["project"]["optional-dependencies"].values(), *PROJECT["dependency-groups"].values()]
    asked = chain(PROJECT["project"]["dependencies"], *lists)
    assert {name(one) for one in asked} <= {name(line) for line in LINES}


def test_it_has_versions_and_nothing_else():
    for line in LINES:
        assert re.fullmatch(r"[\w.-]+==[\w.+!]+( ; [\w.*<>=!'\" ()]+)?", line), line


def test_continuous_integration_uses_it_and_nothing_binds_a_user():
    assert "--constraints constraints.txt" in (ROOT / ".ci" / "run").read_text()
    assert "uv" not in PROJECT["tool"]
