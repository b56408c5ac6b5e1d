"""Attack: damaged and hostile grids, configs, words of a command line, run folders, checkpoints and nets in files.

Each case changes one thing in a sound folder of runs (a byte, a line, a value, a file that becomes a folder or a link
to itself) or in a command line, and lets the quick verbs and the readers look at it, in this process. A case is wrong
if anything is raised but InputError and Failure, if the exit code is none of 0, 1 and 2, if an error is not one line on
stderr, if it takes over 10 s, or if anything outside the root of the runs is written. A case depends on its number and
the seed alone; `--only` repeats one.
"""

import argparse
import contextlib
import copy
import io
import json
import os
import random
import shutil
import signal
import stat
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

HERE = Path(__file__).resolve().parent
sys.path += [str(HERE.parent / "tests" / "rigs")]
from lab import Lab, make_summary  # noqa: E402

from lit_resnet import cli  # noqa: E402
from lit_resnet.errors import Failure, InputError, printable  # noqa: E402
from lit_resnet.grid.asked import Asked  # noqa: E402
from lit_resnet.grid.grid import load  # noqa: E402
from lit_resnet.launch import reuse  # noqa: E402
from lit_resnet.launch.folders import check_folders  # noqa: E402
from lit_resnet.report import claims, runs, tables  # noqa: E402
from lit_resnet.report.figures import curves  # noqa: E402
from lit_resnet.report.page import explore  # noqa: E402
from lit_resnet.report.page.odd import odd  # noqa: E402
from lit_resnet.report.page.thinned import thin  # noqa: E402
from lit_resnet.runfolder import card, predictions  # noqa: E402
from lit_resnet.runfolder.folder import RunFolder  # noqa: E402

SLOW = 10  # seconds of this process; other processes may slow it down
CONFIG = {
    "model": {"net": {"depth": 8}, "rate": {"lr": 0.1, "milestones": [2, 3]}, "sgd": {"momentum": 0.9}},
    "data": {"source": "digits", "pad": 1, "flip": False, "batch_size": 64, "val_size": 10},
    "trainer": {"max_steps": 600, "val_check_interval": 50, "log_every_n_steps": 25, "accelerator": "cpu"},
}
GRID = {
    "title": "Two nets",
    "base": "base.yaml",
    "seeds": [0, 1],
    "matrix": {"model.net.shortcut": {"plain": "none", "residual": "A"}},
    "exclude": [],
    "include": {"small": {"model.net.depth": 14, "seeds": [0]}},
    "report": {"figures": [], "ensembles": {"both": {"cells": ["plain", "residual"], "protocol": "center"}}},
    "cluster": {"partition": "gpu", "hours": 1},
}
KEYS = (
    *(f"model.{key}" for key in ("net.depth", "net.shortcut", "net", "rate.lr", "rate.milestones", "sgd", "bn_group")),
    *(f"data.{key}" for key in ("source", "root", "batch_size", "val_size", "photographs.crop", "x")),
    *(f"trainer.{key}" for key in ("max_steps", "devices", "precision", "callbacks", "logger", "strategy")),
    *("seed_everything", "task", "evaluate", "model", "trainer", "nothing"),
)
# Values for which JSON and YAML have words.
VALUES: list[Any] = [
    None, True, False, -1, 0, 1, 3, 0.5, 1e300, -1e-300, float("nan"), float("inf"), 10**12, 10**30, 10**400, 2**32,
    99999999999999999999998, 600002, "", "x", "A", "none", "-", "..", "../../x", "/", "~nosuchuser/x", "a" * 300,
    "[/x]", "\x1b[31mred", "\x1b]0;title\x07", "a\nb", "$(touch x)", "<script>", "\uff05", "\ud800", "\0", "1e-4",
    "2026-13-45", [], [1], [[]], ["a", "a"], {}, {"": 1}, {"a": {"b": []}}, {"class_path": "evil.Class"}, [None] * 1000,
    "x" * 200_000, "detection",
]  # fmt: skip
# Pieces of text.
TEXTS = [
    "\0", "\n", "\r", "\t", ",", ",,,,,,,,", '"', "'", "{", "}", "[", "]", ":", ": ", "- ", "#", "&a [*a]", "*a",
    "!!int x", "!!python/object/apply:os.system [touch x]", "!!timestamp x", "!!binary x", "<<: {}", "? x", "| ", "> ",
    "%YAML 9", "nan", "NaN", "-inf", "Infinity", "1e999", "-1", "0x", "0b", "1_0", "9" * 5000, "9" * 200_000, "null",
    "true", "{}", "[" * 5000, "{" * 5000, "a: " * 500, "\x1b[2J", "\u202e", "\u00e9", "\udc80", "\ufeff", "\u2028",
    "..", "../..", "~", "~/x", "~nosuchuser/x", "/dev/null", "/proc/self/mem", "a" * 300, "[/x]", "[bold]",
    "$(touch x)", "`touch x`", ";touch x", "&x [&y [*x, *x], *y]", "--root", "--set", "--format", "csv", "x=y", "=",
    "model.net.depth=14", "config=x", "data=x", "model.net.depth=99999999999999999999998", "model.rate.lr=[[[[",
    "data.root=~nosuchuser/x", "model.net={}", "task=x", "model.net.depth=600002", "seed_everything=1", "a.b.c=1",
    "trainer.callbacks=[{class_path: evil.Class}]", "model=[1]",
]  # fmt: skip
PIECES = [*(text.encode("utf-8", "surrogateescape") for text in TEXTS), b"\xff\xfe", bytes(100)]


@dataclass(frozen=True)
class Case:
    """What became of one case: what was changed, how it ended, and what is wrong about that (empty: nothing)."""

    number: int
    kind: str
    what: str
    end: str
    seconds: float
    wrong: str = ""


class TooLong(BaseException):
    """Raised into a case that takes too long."""


class Field:
    """A folder with a root of sound runs, and cases by their numbers."""

    def __init__(self, place: Path, seed: int, checkpoints: bool = True) -> None:
        self.seed, self.place = seed, place
        self.inside = place / "inside"
        self.inside.mkdir()
        lab = Lab(self.inside)
        self.root, self.grid = lab.root, self.inside / "tiny.yaml"
        (self.inside / "base.yaml").write_text(yaml.safe_dump(CONFIG), encoding="utf-8")
        self.grid.write_text(yaml.safe_dump(GRID, sort_keys=False), encoding="utf-8")
        figures = {**GRID, "report": {"figures": ["fig1", "fig6", "fig7", "gradients"]}}
        (self.inside / "figures").mkdir()
        self.drawn = self.inside / "figures" / "tiny.yaml"
        self.drawn.write_text(yaml.safe_dump({**figures, "base": "../base.yaml"}), encoding="utf-8")
        self.loaded = load(str(self.grid))
        self.net_file = self.inside / "net.safetensors"
        for cell in self.loaded.cells[:-1]:
            self._run(lab, cell.name, cell.seed, checkpoints)
        if checkpoints:
            self._write_net_file(RunFolder(next(self.root.glob("*/*/checkpoints")).parent))
        other = lab.grid(["small"], name="other", seeds=[0])
        (self.inside / "base.yaml").write_text(yaml.safe_dump(CONFIG), encoding="utf-8")
        self.other = other
        self.files = sorted(path for path in self.root.rglob("*") if path.is_file())
        self.checkpoints = [path for path in self.files if path.suffix == ".ckpt"]
        self.texts = [path for path in self.files if path.suffix != ".ckpt"]
        self.kinds: dict[str, tuple[int, Callable[[random.Random], tuple[str, Callable[[], Any]]]]] = {
            "run folder": (45, self._run_folder),
            "grid file": (25, self._grid_file),
            "command line": (20, self._command_line),
            "config": (6 if checkpoints else 0, self._config),
            "checkpoint": (4 if checkpoints else 0, self._checkpoint),
            "net file": (6 if checkpoints else 0, self._net_file),
        }

    def _run(self, lab: Lab, cell: str, seed: int, checkpoints: bool) -> None:
        shortcut = "none" if cell == "plain" else "A"
        run = lab.finish(cell, seed, shortcut=shortcut, signals=True)
        lab.responses(run, [(f"layer{i}", 0.5) for i in range(1, 8)])
        said = next(one for one in self.loaded.cells if (one.name, one.seed) == (cell, seed))
        config = self.loaded.config(said)
        for file in (run.cell_file, run.config_file):
            file.write_text(yaml.safe_dump(config), encoding="utf-8")
        name = "plain-8" if cell == "plain" else "ResNet-8"
        net = {"net": name, "depth": 8, "shortcut": shortcut, "in_channels": 1, "data": "digits", "batch_size": 64}
        run.write_summary(make_summary(**net, seed=seed, test_images="0", finished="2026-11-28T10:00:00"))
        lab.judge(run, "digits", center=(8.5, 1.0))
        predictions.keep(run.path, np.zeros(200), np.arange(200) < 17)  # 8.5 %
        run.log_file.write_text("iteration 25/600\n", encoding="utf-8")
        if checkpoints:
            import torch

            from lit_resnet.nets import NetConfig, build

            weights = build(NetConfig(depth=8, shortcut=shortcut, in_channels=1)).state_dict()
            kept = {
                "mean": torch.zeros(1, 8, 8),
                "classes": list("0123456789"),
                "image_shape": [1, 8, 8],
                "damaged": [],
            }
            content = {"state_dict": {f"net.{key}": value for key, value in weights.items()}, "net": name, "data": kept}
            run.checkpoints.mkdir()
            torch.save(content, run.checkpoints / "last.ckpt")

    def _write_net_file(self, run: RunFolder) -> None:
        import torch

        from lit_resnet.training import net_file

        weights = torch.load(run.checkpoints / "last.ckpt", weights_only=True)["state_dict"]
        weights = {name.removeprefix("net."): value for name, value in weights.items()}
        summary = replace(run.summary(), config=CONFIG)
        known = card.Card(summary, card.Images(tuple("0123456789"), (1, 8, 8), None), "0" * 16, 200)
        self.net_file.write_bytes(net_file.content(known, weights, torch.zeros(1, 8, 8)))

    # -- cases

    def case(self, number: int) -> Case:
        """Run one case. All that it changed is as before when this returns."""
        rng = random.Random(f"{self.seed} {number}")
        kind = rng.choices(list(self.kinds), [share for share, _ in self.kinds.values()])[0]
        what, act = self.kinds[kind][1](rng)
        started = time.monotonic()
        end, wrong = self._guarded(act)
        seconds = time.monotonic() - started
        return Case(number, kind, what, end, seconds, wrong)

    def _guarded(self, act: Callable[[], Any]) -> tuple[str, str]:
        """Let `act` run; how it ended, and what is wrong about that."""
        out, err, code = _Stdout(), io.StringIO(), None
        signal.setitimer(signal.ITIMER_PROF, SLOW)
        signal.setitimer(signal.ITIMER_REAL, 6 * SLOW)
        WATCH.allowed, WATCH.written = self.inside, []
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                code = act()
        except SystemExit as ended:
            code = ended.code
        except (InputError, Failure) as error:
            WATCH.allowed = None
            return "refused", "" if "\n" not in str(error) and str(error) else f"not one line: {str(error)!r}"
        except TooLong:
            return "too long", f"over {SLOW} s, {_where()}"
        except BaseException as error:
            return "raised", f"{type(error).__name__}: {str(error)[:200]!r}, {_where()}"
        finally:
            for timer in (signal.ITIMER_PROF, signal.ITIMER_REAL):
                signal.setitimer(timer, 0)
            WATCH.allowed = None
        if there := [name for name in WATCH.written if os.path.lexists(name) and not os.path.isdir(name)]:
            return "wrote", f"wrote outside: {there[0]}"
        if code not in (None, 0, 1, 2):
            return "other exit code", f"exit code {str(code)[:50]}"
        said = err.getvalue()
        if code in (1, 2) and not _one_error(said):
            return str(code), f"exit code {code}, and on stderr {said[:300]!r}"
        if "\x1b" in out.getvalue() + said:
            return str(code), "an escape sequence was printed"
        return str(code or 0), ""

    def _run_folder(self, rng: random.Random) -> tuple[str, Callable[[], Any]]:
        """Change one file of a run folder; look at it by one verb or reader."""
        file = rng.choice(self.texts)
        how = rng.choice((_bytes, _lines, _values, _values, _values, _kind))
        looks = {
            "status": lambda: cli.main(["status", str(self.grid), "--root", str(self.root)]),
            "status of all": lambda: cli.main(["status", "--root", str(self.root), "--format", "csv"]),
            "report": lambda: cli.main(["report", str(self.grid), "--root", str(self.root)]),
            "figures": lambda: cli.main(["report", str(self.drawn), "--root", str(self.root), "--format", "md"]),
            "logs": lambda: cli.main(["logs", str(self.grid), "*", "--root", str(self.root)]),
            "cancel": lambda: cli.main(["cancel", str(self.grid), "--root", str(self.root)]),
            "launch": lambda: check_folders(self.loaded, self.root),
            "adopt": lambda: _none(reuse.finished_elsewhere(load(self.other), load(self.other).cells, self.root)),
            "tables": lambda: self._tables(self.grid),
        }
        look = rng.choices(list(looks), [12, 4, 1, 0.2, 4, 3, 10, 3, 22])[0]
        what = f"{file.relative_to(self.root)}, {how.__name__.strip('_')}, {look}"
        return what, lambda: _changed(file, how, rng, looks[look])

    def _tables(self, grid: Path) -> None:
        """All that a report reads, without what takes its time: figures and the page."""
        found = runs.read(Asked(str(grid), root=self.root))
        for table in tables.make(found).values():
            table.files()
            table.terminal()
        claims.check(found).markdown()
        curves.archive(found)
        for cell in found.cells:
            _none((cell.responses, cell.signals))
        listed = explore.columns(found, odd(found))
        json.dumps(explore.data(found, odd(found), listed, thin(found)), allow_nan=False).encode()

    def _grid_file(self, rng: random.Random) -> tuple[str, Callable[[], Any]]:
        """Change the grid, its base, or a file of its cluster."""
        file = rng.choice((self.grid, self.grid, self.inside / "base.yaml"))
        how = rng.choice((_bytes, _lines, _values, _values))
        looks = {
            "status": lambda: cli.main(["status", str(self.grid), "--root", str(self.root)]),
            "tables": lambda: self._tables(self.grid),
            "cancel": lambda: cli.main(["cancel", str(self.grid), "--root", str(self.inside / "nothing")]),
            "cells": lambda: _none([load(str(self.grid)).config(cell) for cell in load(str(self.grid)).cells[:50]]),
        }
        look = rng.choice(list(looks))
        what = f"{file.name}, {how.__name__.strip('_')}, {look}"
        return what, lambda: _changed(file, how, rng, looks[look])

    def _command_line(self, rng: random.Random) -> tuple[str, Callable[[], Any]]:
        """Words of a quick verb: sound ones, with some put in, taken out or changed."""
        verb = rng.choices(("status", "logs", "cancel", "report", "xyz"), (6, 3, 3, 0.3, 1))[0]
        words = [verb, str(self.grid), *(["plain"] if verb == "logs" else []), "--root", str(self.root)]
        words += rng.choice(([], ["--set", "model.rate.lr=0.1"], ["--seeds", "0", "1"], ["--format", "csv"]))
        for _ in range(rng.choice((1, 1, 2, 3))):
            text, place = rng.choice(TEXTS + [str(value) for value in VALUES]), rng.randrange(len(words) + 1)
            change = rng.randrange(3)
            if change == 0:
                words.insert(place, text)
            elif change == 1 and place < len(words):
                words[place] = text
            else:
                words += ["--set", rng.choice(("", "model.", "data.root=", "model.net.depth=", "a=")) + text]
        words = [word for word in words if word not in ("--watch", "--follow", "--from")]
        return " ".join(word[:40] for word in words), lambda: cli.main(words)

    def _config(self, rng: random.Random) -> tuple[str, Callable[[], Any]]:
        """Values of a config, as `plan` checks them, and `evaluate` those of a run folder."""
        from lit_resnet.run import models
        from lit_resnet.run.config import RunCLI

        config = copy.deepcopy(CONFIG)
        where = _change(config, rng)
        run = RunFolder(self.root / "tiny" / "plain-seed0")

        def evaluate() -> None:
            with _put_back(run.config_file):
                run.config_file.write_text(yaml.safe_dump(config), encoding="utf-8")
                models.of_run(run)

        key, text = rng.choice(KEYS), rng.choice([*TEXTS, *map(str, VALUES)])
        words = [f"--{key}={text}", *rng.choice(([], ["--data.source", "digits"], [text]))]
        looks = {
            "check": (where, lambda: _none(RunCLI(config).check())),
            "evaluate": (where, evaluate),
            "fit": (" ".join(words)[:100], lambda: _none(RunCLI(words).check())),
        }
        look = rng.choice(list(looks))
        what, act = looks[look]
        return f"{what}, {look}", act

    def _checkpoint(self, rng: random.Random) -> tuple[str, Callable[[], Any]]:
        """A checkpoint, its bytes or what it holds."""
        import torch

        from lit_resnet.run import models
        from lit_resnet.run.trained import load_run

        file = rng.choice(self.checkpoints)
        run = RunFolder(file.parent.parent)
        how = rng.choice(("bytes", "values", "kind"))

        def act() -> None:
            with _put_back(file) as before:
                if how == "values":
                    content = torch.load(io.BytesIO(before), weights_only=True)
                    _change(content, rng)
                    torch.save(content, file)
                else:
                    {"bytes": _bytes, "kind": _kind}[how](file, before, rng)
                rng.choice((models.of_run, lambda run: load_run(run.path)))(run)

        return f"{file.relative_to(self.root)}, {how}", act

    def _net_file(self, rng: random.Random) -> tuple[str, Callable[[], Any]]:
        """A net in a .safetensors file: its bytes, what its card says, or its tensors."""
        import safetensors.torch
        import torch

        from lit_resnet.run import models
        from lit_resnet.run.trained import load_run
        from lit_resnet.training.start import start_weights

        file = self.net_file
        how = rng.choice(("bytes", "card", "card", "tensors", "kind"))

        def act() -> None:
            with _put_back(file) as before:
                tensors, text = safetensors.torch.load(before), card.read(file).text()
                if how == "card":
                    content = json.loads(text)
                    _change(content, rng)
                    text = _json(content)
                if how == "tensors":
                    name = rng.choice(list(tensors))
                    tensors[rng.choice((name, "x"))] = rng.choice((torch.zeros(2), torch.zeros(1, 8, 8).double()))
                    tensors.pop(rng.choice(list(tensors)))
                if how in ("card", "tensors"):
                    file.write_bytes(safetensors.torch.save(tensors, {card.KEY: text}))
                else:
                    {"bytes": _bytes, "kind": _kind}[how](file, before, rng)
                look = rng.choice((models.model, load_run, lambda path: start_weights(str(path))))
                look(file)

        return f"net.safetensors, {how}", act


# -- changes of one file


def _bytes(file: Path, before: bytes, rng: random.Random) -> None:
    """Some bytes are changed, cut out or put in; or the end is cut off."""
    content = bytearray(before)
    for _ in range(rng.choice((1, 1, 3, 10))):
        place = rng.randrange(len(content) + 1)
        change = rng.randrange(4)
        if change == 0:
            content[place:place] = rng.choice(PIECES)
        elif change == 1:
            content[place : place + 1] = bytes([rng.randrange(256)])
        elif change == 2:
            del content[place : place + rng.choice((1, 5, 100))]
        else:
            content[place : place + 4] = rng.choice(PIECES)
    if rng.random() < 0.1:
        del content[rng.randrange(len(content) + 1) :]
    file.write_bytes(content)


def _lines(file: Path, before: bytes, rng: random.Random) -> None:
    """Lines are doubled, exchanged or left out, or a field of one is changed."""
    lines = before.splitlines(keepends=True) or [b""]
    i, j = rng.randrange(len(lines)), rng.randrange(len(lines))
    change = rng.randrange(4)
    if change == 0:
        lines.insert(j, lines[i])
    elif change == 1:
        lines[i], lines[j] = lines[j], lines[i]
    elif change == 2:
        del lines[i : i + rng.choice((1, 1, 10))]
    else:
        fields = lines[i].rstrip(b"\n").split(b",")
        fields[rng.randrange(len(fields))] = rng.choice(PIECES)
        lines[i] = b",".join(fields) + b"\n"
    file.write_bytes(b"".join(lines))


def _values(file: Path, before: bytes, rng: random.Random) -> None:
    """A value of JSON or YAML is replaced or left out; of another file, a line is changed."""
    if file.suffix not in (".json", ".yaml"):
        _lines(file, before, rng)
        return
    content = json.loads(before) if file.suffix == ".json" else yaml.safe_load(before)
    for _ in range(rng.choice((1, 1, 2))):
        _change(content, rng)
    if file.suffix == ".json":
        file.write_text(_json(content), encoding="utf-8")
    else:
        text = yaml.safe_dump(content, allow_unicode=False, sort_keys=False)
        file.write_text(text, encoding="utf-8", errors="backslashreplace")


def _json(content: Any) -> str:
    """Values as JSON, also whole numbers of thousands of digits."""
    sys.set_int_max_str_digits(0)
    try:
        return json.dumps(content)
    finally:
        sys.set_int_max_str_digits(4300)


def _kind(file: Path, before: bytes, rng: random.Random) -> None:
    """The file becomes empty, nothing, a folder, a pipe, or a link to nowhere, itself, or a file outside."""
    file.unlink()
    change = rng.randrange(7)
    if change == 0:
        file.touch()
    elif change == 1:
        file.mkdir()
    elif change == 2:
        file.symlink_to(file.name)
    elif change == 3:
        file.symlink_to("nowhere")
    elif change == 4:
        file.symlink_to("/proc/self/environ")
    elif change == 5:
        os.mkfifo(file)


def _change(content: Any, rng: random.Random) -> str:
    """Replace, remove or add a value somewhere in nested mappings and lists; where that was."""
    place, path = content, []
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = rng.choice(keys) if keys else None
        if key is not None and isinstance(place[key], dict | list) and rng.random() < 0.75:
            place = place[key]
            path.append(str(key))
            continue
        break
    value = copy.deepcopy(rng.choice(VALUES))
    change = rng.random()
    if key is None or change < 0.1:
        if isinstance(place, dict):
            place[rng.choice(("x", "depth", "shortcut", "root", "", "a.b"))] = value
        else:
            place.append(value)
    elif change < 0.25:
        del place[key]
    else:
        place[key] = value
    return ".".join([*path, str(key)]) + f" = {str(value)[:40]!r}" if not isinstance(value, int) else f"{path} {key}"


def _changed(file: Path, how: Callable[..., None], rng: random.Random, look: Callable[[], Any]) -> Any:
    """Look while a file is changed."""
    with _put_back(file) as before:
        how(file, before, rng)
        return look()


@contextlib.contextmanager
def _put_back(file: Path) -> Iterator[bytes]:
    """While it lasts, the file may be changed; gives its bytes, which it has again at the end."""
    before = file.read_bytes()
    try:
        yield before
    finally:
        _restore(file, before)


def _restore(file: Path, before: bytes) -> None:
    try:
        kind = file.lstat().st_mode
    except FileNotFoundError:
        kind = 0
    if stat.S_ISDIR(kind):
        shutil.rmtree(file)
    elif kind and not stat.S_ISREG(kind):
        file.unlink()
    file.write_bytes(before)


# -- what is watched


class _Stdout(io.StringIO):
    """A stream that refuses what a terminal of UTF-8 cannot be sent. Python's stderr writes such letters out."""

    encoding = "utf-8"

    def write(self, text: str) -> int:
        text.encode()
        return super().write(text)


class _Watch:
    """Sees every file that this process opens to write, makes, moves or removes."""

    def __init__(self) -> None:
        self.allowed: Path | None = None
        self.written: list[str] = []
        self.begun = False

    def begin(self) -> None:
        """From here on; an audit hook cannot be removed."""
        if not self.begun:
            sys.addaudithook(self)
        self.begun = True

    def __call__(self, event: str, args: tuple[Any, ...]) -> None:
        if self.allowed is None:
            return
        if event == "open":
            path, _, flags = args
            paths = [path] if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) else []
        elif event in ("os.rename", "os.link", "os.symlink"):
            paths = list(args[:2])[1:]
        elif event in ("os.mkdir", "os.remove", "os.rmdir", "os.truncate", "os.chmod", "os.utime"):
            paths = [args[0]]
        elif event in ("os.system", "subprocess.Popen", "os.exec", "os.fork"):
            self.written.append("/proc/self/exe")  # a process was started
            return
        else:
            return
        for path in paths:
            name = os.path.abspath(os.fsdecode(path)) if not isinstance(path, int) else ""
            if (
                name
                and not name.startswith((f"{self.allowed}/", f"{self.allowed.parent}/tmp/"))
                and name != "/dev/null"
                and not name.endswith(".pyc")
            ):
                self.written.append(name)


WATCH = _Watch()


def _too_long(*_: object) -> None:
    raise TooLong


def _where() -> str:
    """The line of the package at which the error now handled was raised, and its last line."""
    frames = traceback.extract_tb(sys.exc_info()[2])
    own = [frame for frame in frames if "lit_resnet" in frame.filename and "benchmarks" not in frame.filename]
    places = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in (own[-1:] + frames[-1:])]
    return " > ".join(dict.fromkeys(places))


def _one_error(said: str) -> bool:
    """Whether stderr has one line about an error, the last; warnings and argparse's usage may stand before it."""
    *_, last = said.rstrip("\n").split("\n")
    return last.startswith("lit-resnet") and said.count("lit-resnet: ") <= 1 and "Traceback" not in said


def _none(_: Any) -> None:
    return None


def attack(seed: int, seconds: float, number: int | None = None, first: int = 0) -> Iterator[Case]:
    """Cases from number `first` on, for so many seconds, or so many of them."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as place, _elsewhere(Path(place).resolve()) as here:
        field = Field(here, seed)
        _warm(field)
        started, i = time.monotonic(), first
        while time.monotonic() - started < seconds and (number is None or i < first + number):
            yield field.case(i)
            i += 1


@contextlib.contextmanager
def _elsewhere(place: Path) -> Iterator[Path]:
    """While it lasts, the working folder, home and temporary files are below `place`, and alarms are those of cases."""
    folder, home, temporary = os.getcwd(), os.environ.get("HOME"), tempfile.tempdir
    alarm, left = signal.signal(signal.SIGALRM, _too_long), signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGPROF, _too_long)
    for name in ("work", "home", "tmp"):
        (place / name).mkdir()
    os.chdir(place / "work")
    os.environ["HOME"], tempfile.tempdir = str(place / "home"), str(place / "tmp")
    try:
        yield place
    finally:
        os.chdir(folder)
        os.environ["HOME"], tempfile.tempdir = home or "/", temporary
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        signal.signal(signal.SIGALRM, alarm)
        signal.setitimer(signal.ITIMER_REAL, *left)


def _warm(field: Field) -> None:
    """Import what the verbs import, before writes are watched. The sound folder must be found sound."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        for verb, grid in (("status", field.grid), ("report", field.grid), ("report", field.drawn)):
            if cli.main([verb, str(grid), "--root", str(field.root)]):
                raise RuntimeError(f"the sound folder is refused: {out.getvalue()[-500:]}")
        check_folders(field.loaded, field.root)
    WATCH.begin()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=300, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    parser.add_argument("--only", type=int, metavar="N", help="one case")
    args = parser.parse_args()
    started, ends, slowest, wrong = time.monotonic(), Counter(), None, {}
    first, number = (args.only, 1) if args.only is not None else (0, None)
    for case in attack(args.seed, args.seconds, number, first):
        ends[case.kind, case.end] += 1
        slowest = max(slowest or case, case, key=lambda one: one.seconds)
        if case.wrong:
            known = wrong.setdefault(case.wrong.split(", ")[-1], [])
            known.append(case)
            if len(known) == 1:
                print(f"{case.number}: {case.kind}: {printable(case.what[:200])}")
                print(f"    {printable(case.wrong[:400])}", flush=True)
    total = sum(ends.values())
    print(
        f"{total} cases in {time.monotonic() - started:.0f} s, seed {args.seed}; {sum(map(len, wrong.values()))} wrong"
    )
    for kind in dict.fromkeys(kind for kind, _ in ends):
        print(f"  {kind}: " + ", ".join(f"{count} {end}" for (k, end), count in sorted(ends.items()) if k == kind))
    if slowest:
        what = printable(slowest.what[:100])
        print(f"  slowest: {slowest.seconds:.1f} s, case {slowest.number} ({slowest.kind}: {what})")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
