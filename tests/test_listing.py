"""Listings show what stands in names and errors as it is: it is no markup, and it does nothing to the terminal."""

import io
import json

import pytest
from rich.console import Console

from lit_resnet.listing import plainly, printable, redraws, show, table


def test_words_in_brackets_and_control_characters_are_words():
    row = {"cell": "x[/y] [bold]z", "note": "a\x1b[31mred\nb"}
    made = table([row], {"cell": lambda r: r["cell"], "note": lambda r: r["note"]}, title="[/foo] x\x07")
    console = Console(width=120, record=True, force_terminal=True)
    console.print(made)
    text = console.export_text()
    assert "x[/y] [bold]z" in text
    assert r"a\x1b[31mred\nb" in text
    assert r"[/foo] x\x07" in text


def test_of_strange_values_markdown_and_json_are_whole(capsys):
    row = {"image": "a|b\n.png", "error": float("nan"), "loss": float("inf"), "n": 2}
    show([row], {"image": lambda r: r["image"], "n": lambda r: str(r["n"])}, "md")
    assert capsys.readouterr().out.splitlines()[2:] == [r"| a\|b\n.png | 2 |"]
    show([row], {}, "json")
    assert json.loads(capsys.readouterr().out, parse_constant=pytest.fail) == [row | {"error": None, "loss": None}]


def test_a_line_is_printed_as_it_is():
    console = Console(width=20, file=io.StringIO())
    plainly(console)("lit-resnet launch tiny '--set=evaluate=[center]' --root '[/data/a]'")
    assert console.file.getvalue() == "lit-resnet launch tiny '--set=evaluate=[center]' --root '[/data/a]'\n"


def test_letters_of_all_languages_stay():
    assert printable("Größe ± 深さ–é") == "Größe ± 深さ–é"


def test_a_narrow_terminal_shows_names_whole_and_goes_without_some_columns():
    row = {"cell": "plain-lr=0.1,weight_decay=0.001", "seed": 0, "host": "node17", "error": "7.93", "note": "long " * 9}
    columns = {key: lambda r, key=key: str(r[key]) for key in row}

    def lines(width: int) -> list[str]:
        console = Console(width=width, record=True, force_terminal=True, file=io.StringIO())
        console.print(table([row], columns, expendable=["host", "seed"], width=width))
        return [line.rstrip() for line in console.export_text().splitlines() if line.strip()]

    assert lines(120)[0].split() == list(row)
    narrow = lines(66)
    assert narrow[0].split() == ["cell", "seed", "error", "note"]
    assert narrow[2].split()[:3] == [row["cell"], "0", "7.93"]
    assert "".join(" ".join(narrow[2:]).split()).count("long") == 9, "the note wraps and is whole"
    assert lines(60)[0].split() == ["cell", "error", "note"]
    del columns["note"]
    assert "".join(line.split()[0] for line in lines(26)[2:]) == row["cell"], "folded, and not cut"


@pytest.mark.parametrize(("terminal", "redrawn"), [("xterm", True), ("dumb", False)])
def test_a_dumb_terminal_and_a_notebook_get_lines(terminal: str, redrawn: bool, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("JPY_PARENT_PID", raising=False)
    console = Console(force_terminal=True, _environ={"TERM": terminal})
    assert redraws(console) == redrawn
    monkeypatch.setenv("JPY_PARENT_PID", "1")
    assert not redraws(console)
