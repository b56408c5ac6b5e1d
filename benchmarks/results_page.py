"""Writes docs/results.md: every result in results/, with its command, what it was made on, its picture, what it shows.

    python benchmarks/results_page.py

A folder with a result has `about.yaml`: the command, the pictures, and what they show in a sentence or two. Title,
hardware, data, seeds and date are those that the report has written under its table. Its files lie in the folder, or in
`report/` below it where the run folders are kept, too.
"""

import argparse
import re
import textwrap
from pathlib import Path
from typing import NamedTuple

import yaml

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "results.md"
HEAD = """# Results

Every result in this repository, and what it shows. `benchmarks/results.sh` makes one anew, and
`benchmarks/results_page.py` wrote this page from what lies beside the pictures. Images of CIFAR-10 are those stored as
JPEG ([CIFAR-10](cifar.md#what-has-been-run-so-far)); folders are given as they are called.
"""
ORDER = ("quickstart", "cifar10-jpeg", "imagenette", "bccd", "nets")


class Result(NamedTuple):
    """One result.

    Args:
        folder: Below results/, where the table is.
        title: That of its table.
        made: Data, length, seeds, hardware, precision and date, as its table says; empty of what is no run.
        command: That repeats it.
        pictures: Names of files.
        shows: What it shows.
        files: The other ones: tables, claims, curves.
    """

    folder: Path
    title: str
    made: str
    command: str
    pictures: list[str]
    shows: str
    files: list[str]


def read(folder: Path) -> Result:
    about = yaml.safe_load((folder / "about.yaml").read_text(encoding="utf-8"))
    if (folder / "report").is_dir():
        folder = folder / "report"
    title, made = "Nets", ""
    if (folder / "table.md").exists():
        lines = (folder / "table.md").read_text(encoding="utf-8").splitlines()
        title = lines[0].strip("*")
        made = re.match(r".*? runs finished( \(.*?\))?\.", lines[-1])[0]
    files = sorted(path.name for path in folder.iterdir() if path.suffix in (".md", ".gz"))
    return Result(folder, title, made, about["command"], about["pictures"], about["shows"], files)


def section(result: Result) -> str:
    where = f"../{result.folder.relative_to(ROOT)}"
    links = " · ".join(f"[{name}]({where}/{name})" for name in result.files)
    pictures = "\n\n".join(f"![{Path(name).stem}]({where}/{name})" for name in result.pictures)
    command = f"```sh\n{result.command.strip()}\n```"
    parts = [f"## {result.title}", filled(result.shows), command, filled(result.made), filled(links), pictures]
    return "\n\n".join(part for part in parts if part)


def filled(text: str) -> str:
    return textwrap.fill(text, 120, break_long_words=False, break_on_hyphens=False)


def page() -> str:
    """All of docs/results.md."""
    folders = sorted(
        (path.parent for path in (ROOT / "results").rglob("about.yaml")),
        key=lambda folder: (ORDER.index(folder.relative_to(ROOT / "results").parts[0]), folder),
    )
    return "\n\n".join([HEAD.strip(), *(section(read(folder)) for folder in folders)]) + "\n"


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    PAGE.write_text(page(), encoding="utf-8")
    print(PAGE)


if __name__ == "__main__":
    main()
