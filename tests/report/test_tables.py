"""From run folders to the table, in every format."""

import csv
import io
import json

import pytest
from rich.console import Console

from lit_resnet.errors import InputError
from lit_resnet.grid.asked import Asked
from lit_resnet.report import runs
from lit_resnet.report.tables.cells import all_nets
from lit_resnet.runfolder.status import Status


def table_of(lab, grid):
    return all_nets(runs.read(Asked(grid, root=lab.root)))


def column(table, name):
    return [row[table.header.index(name)] for row in table.rows]


def test_mean_and_sample_std_over_seeds(lab):
    grid = lab.grid(["residual"], seeds=[0, 1, 2])
    for seed, (train, test) in enumerate([(0.1, 8.0), (0.2, 9.0), (0.6, 8.5)]):
        lab.finish("residual", seed, train_error=train, test_error=test)
    table = table_of(lab, grid)
    # mean 8.5, deviations -.5 .5 0: sqrt(.5 / 2) = .5; mean .3, deviations -.2 -.1 .3: sqrt(.14 / 2) = .26458
    assert column(table, "test error %") == ["8.50±0.50"]
    assert column(table, "train error %") == ["0.30±0.26"]
    assert column(table, "n") == ["3"]
    record = table.records[0]
    assert record["test_error_mean"] == pytest.approx(8.5)
    assert record["test_error_std"] == pytest.approx(0.5)
    assert record["train_error_std"] == pytest.approx(0.264575, abs=1e-6)
    assert record["test_error_best"] == 8.0
    assert record["val_error_mean"] is None


def test_one_seed_has_no_spread(lab):
    grid = lab.grid(["residual"])
    lab.finish("residual", test_error=8.5)
    table = table_of(lab, grid)
    assert column(table, "test error %") == ["8.50"]
    assert "±" not in table.markdown() + table.csv()
    assert table.records[0]["test_error_std"] is None


def test_five_seeds_are_shown_as_in_table_6(lab):
    grid = lab.grid(["deep"], seeds=[0, 1, 2, 3, 4])
    for seed, test in enumerate([6.4, 6.5, 6.6, 6.7, 6.8]):
        lab.finish("deep", seed, depth=110, test_error=test)
    table = table_of(lab, grid)
    # deviations -.2 -.1 0 .1 .2: sqrt(.1 / 4) = .158
    assert column(table, "test error %") == ["6.40 (6.60±0.16)"]
    assert column(table, "paper %") == ["6.43 (6.61±0.16)"]
    assert "best (mean±std)" in table.note


def test_the_papers_value_only_for_its_nets_on_cifar10(lab):
    grid = lab.grid(["residual", "plain", "projection", "digits"])
    lab.finish("residual", depth=56)
    lab.finish("plain", depth=56, shortcut="none")
    lab.finish("projection", depth=56, shortcut="B", net="ResNet-56 B")
    lab.finish("digits", depth=56, data="digits", net="ResNet-56")
    table = table_of(lab, grid)
    assert column(table, "paper %") == ["6.97", "–", "–", "–"]
    assert [record["paper_test_error"] for record in table.records] == [6.97, None, None, None]
    assert "Paper: Table 6, after 64,000 iterations of 128 images, BN over 64 on each of two GPUs" in table.note


def test_numbers_in_the_papers_units(lab):
    grid = lab.grid(["small", "large"])
    lab.finish("small", depth=20)
    lab.finish("large", depth=110)
    table = table_of(lab, grid)
    assert column(table, "params") == ["0.27M", "1.7M"]
    assert column(table, "MFLOPs") == ["40.6", "252.9"]

    grid = lab.grid(["imagenet"], name="big")
    lab.finish("imagenet", grid="big", macs=3_643_932_672, params=21_780_648)
    table = table_of(lab, grid)
    assert column(table, "GFLOPs") == ["3.6"]
    assert column(table, "params") == ["21.8M"]


def test_photographs_are_validated_on_and_the_papers_errors_of_them_are_elsewhere(lab):
    cells = {"A": {"data.source": "imagenet"}, "B": {"data.source": "imagenet"}}
    for cell in cells:
        lab.photographs(cell, depth=34, shortcut=cell, test_error=27.0)
    table = table_of(lab, lab.grid(cells))
    assert column(table, "validation error %") == ["27.00", "27.00"]
    assert not {"test error %", "paper %"} & set(table.header)
    assert "Validation error: of the last model, centre crop" in table.note
    lab.photographs("A", depth=34, shortcut="A", val_error=31.0)
    assert column(table_of(lab, lab.grid(cells)), "held-out error %") == ["31.00", "–"]
    assert "test error %" in table_of(lab, lab.grid({"A": {"data.source": "cifar10"}})).header


def test_cell_names_only_where_nets_repeat(lab):
    grid = lab.grid(["lr0.1", "lr0.01"])
    lab.finish("lr0.1")
    assert "cell" not in table_of(lab, grid).header
    lab.finish("lr0.01")
    assert column(table_of(lab, grid), "cell") == ["lr0.1", "lr0.01"]


def test_unfinished_runs_are_counted_and_left_out(lab):
    grid = lab.grid(["done", "failed", "started", "never"])
    lab.finish("done")
    lab.run("failed").write_status(Status(state="failed", error="out of memory"))
    lab.run("started").write_status(Status(state="running", step=10, max_steps=600))
    found = runs.read(Asked(grid, root=lab.root))
    assert [run.state for run in found.runs] == ["done", "failed", "stopped", "queued"]
    table = all_nets(found)
    assert [record["cell"] for record in table.records] == ["done"]
    assert "1 of 4 runs finished (1 failed, 1 queued, 1 stopped)" in table.note


def test_the_note_says_how_the_numbers_were_made(lab):
    grid = lab.grid(["short", "long"])
    lab.finish("short", steps=600)
    lab.finish("long", steps=64_000, log_every=3200, finished="2026-11-05T01:00:00")
    note = table_of(lab, grid).note
    for words in ("cifar10", "600 and 64,000 iterations of 128 images", "n = 1 seed a net", "cpu: AMD EPYC, 1 thread"):
        assert words in note
    assert "2026-11-03 to 2026-11-05" in note
    assert "of the batches as they were trained, with augmentation" in note


def test_the_note_says_with_which_code_and_where_seeds_differ_in_it(lab):
    grid, first, second = lab.grid(["same", "other"], seeds=[0, 1]), 40 * "a", 40 * "b"
    lab.finish("same", 0, git_commit=first, git_dirty=False, code="1" * 16)
    lab.finish("same", 1, git_commit=second, git_dirty=False, code="1" * 16)
    lab.finish("other", 0, git_commit=first, git_dirty=False, code="1" * 16)
    lab.finish("other", 1, git_commit=first, git_dirty=True, code="2" * 16)
    note = table_of(lab, grid).note
    assert "Made with lit_resnet, commit aaaaaaa, commit bbbbbbb, commit aaaaaaa+changes." in note
    assert "seeds of other are made with different code, seed 0: commit aaaaaaa (1111111), seed 1: commit" in note
    assert "seeds of same" not in note, "what changed between the commits is none of the package's code"
    lab.finish("other", 1, git_commit=second, git_dirty=False)
    lab.finish("other", 0, versions={"lit-resnet": "0.2.0"})
    assert "seed 0: version 0.2.0 (unknown), seed 1: commit bbbbbbb (bbbbbbb)" in table_of(lab, grid).note


def test_csv_and_json_round_trip(lab):
    grid = lab.grid(["residual", "plain"], seeds=[0, 1])
    for seed in (0, 1):
        lab.finish("residual", seed, test_error=8.1 + seed / 7)
        lab.finish("plain", seed, shortcut="none", net='plain, "20"')
    table = table_of(lab, grid)
    rows = list(csv.DictReader(io.StringIO(table.csv())))
    assert [row["net"] for row in rows] == ["ResNet-20", 'plain, "20"']
    for row, record in zip(rows, table.records, strict=True):
        assert row == {key: "" if value is None else str(value) for key, value in record.items()}
        assert float(row["test_error_mean"]) == record["test_error_mean"]
    assert json.loads(table.json()) == list(table.records)


def test_latex_is_escaped(lab):
    grid = lab.grid(["residual"], title=r"50% & $x_1$ #2 {a} \input ~^")
    lab.finish("residual", net="net_1 & co")
    text = table_of(lab, grid).latex()
    assert r"net\_1 \& co & 8.50 & 8.75" in text
    assert r"\caption{50\% \& \$x\_1\$ \#2 \{a\} \textbackslash{}input \textasciitilde{}\textasciicircum{}}" in text
    assert r"test error \%" in text
    assert text.count(r"\toprule") == text.count(r"\midrule") == text.count(r"\bottomrule") == 1


def test_markdown_is_one_table(lab):
    grid = lab.grid(["residual"])
    lab.finish("residual", net="a|b <i>")
    lines = table_of(lab, grid).markdown().splitlines()
    assert lines[4].startswith(r"| a\|b \<i\> | 8.50 |")
    assert lines[2].count("|") == lines[3].count("|") == lines[4].replace(r"\|", "").count("|") == 9


@pytest.mark.parametrize("width", [40, 80, 120])
def test_the_terminal_table_fits_and_loses_nothing(lab, width):
    grid = lab.grid(["residual"], seeds=[0, 1])
    lab.finish("residual", 0, depth=110, test_error=6.4, net="ResNet-[bold]110")
    lab.finish("residual", 1, depth=110, test_error=6.6, net="ResNet-[bold]110")
    console = Console(width=width, file=io.StringIO())
    console.print(table_of(lab, grid).terminal())
    text = console.file.getvalue()
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    if width == 120:
        assert "ResNet-[bold]110" in text
        assert "6.50±0.14" in text


def test_an_error_that_is_no_number_is_shown_as_such(lab):
    lab.finish("a", 0, train_error=float("inf"), diverged=True)
    lab.finish("a", 1, train_error=float("nan"), test_error=9.5, diverged=True)
    table = table_of(lab, lab.grid(["a"], seeds=[0, 1]))
    assert column(table, "train error %") == ["nan±nan"]
    assert column(table, "test error %") == ["9.00±0.71"]


@pytest.mark.parametrize("net", [{"depth": 0}, {"depth": "20"}, {"depth": [20]}, {"shortcut": None}, {"family": 3}])
def test_a_net_that_is_none_names_the_file(lab, net):
    run = lab.finish("a")
    summary = json.loads(run.summary_file.read_text())
    summary["net_config"] |= net
    run.summary_file.write_text(json.dumps(summary))
    (key,) = net
    with pytest.raises(InputError, match=rf"a-seed0/summary\.json: damaged \(net_config\.{key} is "):
        runs.read(Asked(lab.grid(["a"]), root=lab.root))


def test_nothing_finished_is_one_clear_line(lab):
    grid = lab.grid(["residual"])
    lab.run("residual").write_status(Status(state="failed"))
    with pytest.raises(
        InputError, match=r"^no finished runs of tiny in .*runs/tiny; start them with: lit-resnet launch "
    ):
        runs.read(Asked(grid, root=lab.root))


def test_damage_names_the_file(lab):
    grid = lab.grid(["residual", "other"])
    lab.finish("other")
    run = lab.finish("residual")
    run.summary_file.write_text("{")
    with pytest.raises(InputError, match=r"residual-seed0/summary\.json: damaged"):
        runs.read(Asked(grid, root=lab.root))
    run.summary_file.write_text('{"net": "ResNet-20", "data": "cifar10"}')
    with pytest.raises(
        InputError, match=r"residual-seed0/summary\.json: damaged \(net_config is missing\); put a copy"
    ):
        runs.read(Asked(grid, root=lab.root))
    run.summary_file.write_text('{"net": "ResNet-20", "family": "cifar", "depth": 20, "shortcut": "A"}')
    with pytest.raises(
        InputError, match=r"summary\.json: written by an earlier version, without net_config; put a copy"
    ):
        runs.read(Asked(grid, root=lab.root))
