"""Listings show what stands in names and errors as it is: it is no markup, and it does nothing to the terminal."""

from rich.console import Console

from lit_resnet.listing import printable, table


def test_words_in_brackets_and_control_characters_are_words():
    row = {"cell": "x[/y] [bold]z", "note": "a\x1b[31mred\nb"}
    made = table([row], {"cell": lambda r: r["cell"], "note": lambda r: r["note"]}, title="[/foo] x\x07")
    console = Console(width=120, record=True, force_terminal=True)
    console.print(made)
    text = console.export_text()
    assert "x[/y] [bold]z" in text
    assert r"a\x1b[31mred\nb" in text
    assert r"[/foo] x\x07" in text


def test_letters_of_all_languages_stay():
    assert printable("Größe ± 深さ–é") == "Größe ± 深さ–é"
