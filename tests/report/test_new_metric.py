"""A metric that is declared is everywhere: made-up runs of a made-up task, of whose only result more is better."""

import csv
import gzip
import io
import json
import re
from dataclasses import replace

import pytest
from lab import QUALITY, TOY

from lit_resnet.cli import main
from lit_resnet.errors import InputError
from lit_resnet.grid.asked import Asked
from lit_resnet.metrics import IMAGES_PER_SECOND, LR, TEST_ERROR, VAL_ERROR
from lit_resnet.report import runs, write
from lit_resnet.report.page.odd import odd, rule
from lit_resnet.task import TASKS

SEEDS = list(range(5))


@pytest.fixture
def grid(lab, toy):
    """Two nets; one run of the second was better before its end, one is far from its seeds, one has not begun."""
    for seed in SEEDS:
        lab.finish_toy("small", seed, [0.1, 0.2, 0.25 + seed / 1000])
    for seed in SEEDS[:4]:
        lab.finish_toy("large", seed, [0.3, 1.2 if seed == 1 else 0.6, 0.5 + seed / 1000 if seed != 3 else 0.2])
    return lab.toy_grid(["small", "large"], seeds=SEEDS)


def test_in_status(lab, grid, capsys):
    lab.finish("classified")
    assert main(["status", grid, "--root", str(lab.root), "--format", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    small, large = ["0.25", "0.251", "0.252", "0.253", "0.254"], ["0.5", "0.501", "0.502", "0.2", ""]
    assert [row["quality"] for row in rows] == small + large
    assert "test_error" not in rows[0]
    assert main(["status", grid, "--root", str(lab.root)]) == 0
    text = capsys.readouterr().out
    assert "quality" in text
    assert "0.251" in text
    assert "error" not in text
    assert main(["status", "--root", str(lab.root), "--format", "json"]) == 0  # of runs of two tasks
    all_runs = {row["cell"]: row for row in json.loads(capsys.readouterr().out)}
    assert all_runs["tiny/classified"]["test_error"] == 8.5
    assert (all_runs["tiny/classified"]["quality"], all_runs["toys/small"]["quality"]) == (None, 0.254)


def test_in_tables_and_files(lab, grid):
    report = write(Asked(grid, root=lab.root))
    table = report.table
    assert "error" not in " ".join(table.header)
    cells = dict(zip(table.header, zip(*table.rows, strict=True), strict=True))
    assert cells["quality"] == ("0.254 (0.252±0.002)", "0.426±0.151"), "from five seeds on the best is named: the most"
    assert "Quality: of the last model" in table.note
    rows = list(csv.DictReader(io.StringIO(table.csv())))
    assert [row["quality_best"] for row in rows] == ["0.254", "0.502"]
    assert {"quality_mean", "quality_std"} <= set(rows[0])
    archive = gzip.decompress((report.folder / "curves.csv.gz").read_bytes()).decode()
    assert archive.splitlines()[0] == "cell,seed,step,lr,quality"
    assert not report.claims.found


def test_on_the_page(lab, grid):
    text = write(Asked(grid, root=lab.root)).page.read_text()
    data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)[1])
    assert data["metrics"] == [{"name": "quality", "label": "quality", "unit": "", "digits": 3, "thick": True}]
    assert data["higher"] is True
    assert data["runs"][0]["values"][data["judged"]] == 0.25
    assert data["runs"][0]["curves"]["quality"][1] == [100, 200, 250]
    heads = re.findall(r'<th[^>]*scope="col">([^<]*)</th>', text[text.index('class="runs"') :])
    assert heads[2:] == ["quality", "state", "iterations", "best quality", "wall time", "images/s", "note"]
    assert '<input type="checkbox" id="curve-quality" checked> quality' in text
    assert "test error" not in text


def test_best_is_the_most_and_odd_is_the_least(lab, grid):
    found = runs.read(Asked(grid, root=lab.root))
    large = [run for run in found.runs if run.cell == "large"]
    assert [run.best(QUALITY) for run in large] == [0.6, 1.2, 0.6, 0.6, None]
    assert found.cells[1].over_seeds(QUALITY).best == 0.502
    words = odd(found)[5:]
    assert words[1] == "ended 0.699 below its best"
    assert words[3] == "0.301 below the median of the other seeds"
    assert "0.5 below the highest in its own curve" in rule(QUALITY)
    assert "than 1 point, and" in rule(TEST_ERROR)
    assert "5 points above the lowest in its own curve" in rule(TEST_ERROR)


def test_a_run_without_a_value_of_the_headline_is_not_odd(lab, grid, monkeypatch):
    quality = replace(QUALITY, optional=True)
    monkeypatch.setitem(TASKS, TOY.name, replace(TOY, metrics=(LR, quality), headline=quality))
    file = lab.run("small", 0, "toys").summary_file
    file.write_text(json.dumps(json.loads(file.read_text()) | {quality.name: None}))
    assert odd(runs.read(Asked(grid, root=lab.root)))[:5] == [""] * 5


def test_a_run_of_another_task_is_refused(lab, grid):
    lab.run("small", 0, "toys").write_summary(lab.finish("other").summary())
    with pytest.raises(InputError, match=r"small-seed0/summary\.json: is of another run \(task classification,"):
        runs.read(Asked(grid, root=lab.root))
    (lab.folder / "base.yaml").write_text("task: toi\n")
    with pytest.raises(InputError, match=r"task is 'toi': write one of .*, toy; did you mean toy\?"):
        runs.read(Asked(grid, root=lab.root))


def test_a_metric_says_what_is_best_and_how_it_is_written():
    nan = float("nan")
    assert (TEST_ERROR.best([8.0, None, nan, 7.0]), QUALITY.best([0.1, 0.3, nan])) == (7.0, 0.3)
    assert TEST_ERROR.best([None]) is None
    with pytest.raises(ValueError, match="neither is better"):
        LR.best([0.1])
    assert [m.head for m in (TEST_ERROR, QUALITY, IMAGES_PER_SECOND)] == ["test error %", "quality", "images/s"]
    assert (TEST_ERROR.words(7.934), QUALITY.words(0.5), VAL_ERROR.text(None)) == (
        "test error 7.93 %",
        "quality 0.500",
        "–",
    )
    assert TOY.final == (QUALITY,)
