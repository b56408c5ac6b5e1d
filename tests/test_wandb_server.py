"""The stand-in for Weights & Biases, with the real client: what is logged is read back, and troubles end in time."""

import json
import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from wandb_server import Server

BEGIN = """
import json, math, sys, time, wandb
def begin(key, **settings):
    quiet = wandb.Settings(silent=True, console="off", reinit="create_new", x_disable_stats=True, **settings)
    return wandb.init(project="p", id=key, resume="allow", group="g", job_type="train", settings=quiet)
def timed(call):
    start = time.monotonic()
    try:
        call()
        raised = None
    except Exception as error:
        raised = type(error).__name__
    return [raised, time.monotonic() - start]
"""


@pytest.fixture
def server() -> Iterator[Server]:
    """A server of which a test asks nothing that it does not know."""
    before = threading.active_count()
    with Server() as server:
        yield server
    assert server.unknown == []
    assert threading.active_count() == before


class Client:
    """Where the processes of a client run, and how."""

    def __init__(self, folder: Path, server: Server) -> None:
        self.folder = folder
        kept = {name: value for name, value in os.environ.items() if not name.startswith("WANDB")}
        self.env = {**kept, **server.env, "WANDB_SILENT": "true", "HOME": str(folder), "NETRC": str(folder / "none")}

    def __call__(self, code: str, **env: str) -> list:
        """The lines of JSON that a process prints, which begins with BEGIN."""
        return [json.loads(line) for line in self._run("-c", BEGIN + code, **env).splitlines()]

    def sync(self) -> None:
        """Upload all that has not been; of runs that were begun online, too, which the command by itself skips."""
        self._run("-m", "wandb", "sync", "--include-online", "--yes", *map(str, self.folder.glob("wandb/*run-*")))

    def _run(self, *arguments: str, **env: str) -> str:
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        done = subprocess.run([sys.executable, *arguments], cwd=self.folder, env=self.env | env, timeout=120, **pipes)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture
def client(tmp_path: Path, server: Server) -> Client:
    return Client(tmp_path, server)


def test_logged_resumed_and_read_back(server: Server, client: Client):
    """Another process goes on with a run: rows are appended, and a third reads all that was logged."""
    (client.folder / "note.txt").write_text("a note")
    client("""
from PIL import Image
run = wandb.init(project="p", id="one", resume="allow", group="g", name="first", job_type="train", tags=["a", "b"],
                 notes="some", config={"lr": 0.1, "net": {"depth": 20}})
assert not run.resumed
run.define_metric("loss", step_metric="epoch")
for step in range(100):
    run.log({"loss": 0.1 * step, "epoch": step / 50}, step=10 * step)
run.log({"bad": math.nan, "more": math.inf, "less": -math.inf}, step=1000)
Image.new("RGB", (4, 4), "red").save("red.png")
run.log({"table": wandb.Table(columns=["a"], data=[[1.5], [2.5]]), "image": wandb.Image("red.png")}, step=1001)
run.summary["best"] = {"loss": {"value": 0.25}}
run.save("note.txt", policy="now")
run.finish()
""")
    assert server.runs["one"].state == "finished"
    ((resumed, step, lr, best),) = client("""
run = begin("one")
print(json.dumps([run.resumed, run.starting_step, run.config["lr"], run.summary["best"]["loss"]["value"]]))
run.log({"after": 1})
run.finish(exit_code=3)
""")
    assert (resumed, step, lr, best) == (True, 1002, 0.1, 0.25)

    kept = server.runs["one"]
    assert [row["_step"] for row in kept.history] == [*range(0, 1000, 10), 1000, 1001, 1002]
    assert [row["loss"] for row in kept.history[:100]] == [0.1 * step for step in range(100)]
    assert (kept.name, kept.group, kept.tags, kept.notes, kept.config["lr"]["value"]) == (
        "first", "g", ["a", "b"], "some", 0.1,
    )  # fmt: skip
    assert (kept.state, kept.exit_code) == ("failed", 3)
    (artifact,) = server.artifacts.values()
    assert artifact["state"] == "COMMITTED"
    assert set(artifact["files"]) == {"table.table.json", "manifest"}

    about, rows, sampled, files, table, note, same_image = client("""
run = wandb.Api().run("lab/p/one")
best = run.summary["best"]["loss"]["value"]
print(json.dumps([run.config, best, run.name, run.group, run.tags, run.job_type, run.state, run.notes]))
print(json.dumps(list(run.scan_history(page_size=7))))
print(json.dumps(run.history(keys=["loss"], pandas=False)))
print(json.dumps([file.name for file in run.files(per_page=2)]))
last = run.history(pandas=False)[101]
for name in (last["table"]["path"], "note.txt"):
    print(json.dumps(run.file(name).download("read").read()))
image = run.file(last["image"]["path"]).download("read").name
print(json.dumps(open(image, "rb").read() == open("red.png", "rb").read()))
""")
    config = {"lr": 0.1, "net": {"depth": 20}}
    assert about == [config, 0.25, "first", "g", ["a", "b"], "train", "failed", "some"]
    assert [row["_step"] for row in rows] == [row["_step"] for row in kept.history]
    assert [row["loss"] for row in rows[:100]] == [0.1 * step for step in range(100)]
    assert math.isnan(rows[100]["bad"])
    assert (rows[100]["more"], rows[100]["less"]) == (math.inf, -math.inf)
    assert [row["loss"] for row in sampled] == [0.1 * step for step in range(100)]
    assert set(files) == set(kept.files) > {"note.txt", "config.yaml", "wandb-metadata.json"}
    assert json.loads(table) == {"columns": ["a"], "data": [[1.5], [2.5]]}
    assert note == "a note"
    assert same_image


def test_several_runs_and_filters(server: Server, client: Client):
    """Runs of one process do not mix, and are found by what they are, over several pages."""
    client("""
runs = [begin(f"run{n}") for n in range(2)]
for step in range(50):
    for n, run in enumerate(runs):
        run.log({"value": step + n / 2})
for run in runs:
    run.finish()
""")
    for n in range(2):
        assert [row["value"] for row in server.runs[f"run{n}"].history] == [step + n / 2 for step in range(50)]
    found = dict(
        client("""
api = wandb.Api()
for n in range(7):
    api.create_run(run_id=f"r{n}", project="q", entity="lab")
    run = api.run(f"lab/q/r{n}")
    run.display_name, run.group, run.tags = f"n{n}", f"g{n % 2}", [f"t{n % 3}", "all"]
    run.config["net"], run.config["a.b"] = {"depth": n}, n
    run.summary["loss"] = 1 / (1 + n)
    run.update()
for query in [{"group": "g1"}, {"display_name": "n3"}, {"displayName": {"$regex": "^n[12]$"}}, {"tags": "t0"},
              {"tags": {"$in": ["t1", "none"]}}, {"state": "running"}, {"config.net.depth": {"$gte": 5}},
              {"config.a.b": 2}, {"config.none": {"$exists": True}}, {"$or": [{"name": "r1"}, {"name": "r6"}]},
              {"$and": [{"group": "g0"}, {"config.net.depth.value": {"$lt": 3}}]}]:
    print(json.dumps([json.dumps(query), [run.id for run in api.runs("lab/q", filters=query, per_page=2)]]))
print(json.dumps(["up", [run.id for run in api.runs("lab/q", order="+summary_metrics.loss", per_page=3)]]))
print(json.dumps(["down", [run.id for run in api.runs("lab/q", order="-created_at", per_page=3)]]))
print(json.dumps(["length", len(api.runs("lab/q", filters={"group": "g0"}, per_page=2))]))
""")
    )
    each = [f"r{n}" for n in range(7)]
    assert list(found.values()) == [
        *(each[1::2], ["r3"], ["r1", "r2"], each[::3], ["r1", "r4"], each, ["r5", "r6"]),
        *(["r2"], [], ["r1", "r6"], ["r0", "r2"], each[::-1], each[::-1], 4),
    ]


def test_offline_then_synced(server: Server, client: Client):
    """A run that was written without a server is uploaded later, by `wandb sync`."""
    client(
        """
run = begin("off")
for step in range(30):
    run.log({"loss": step / 3}, step=step)
run.summary["best"] = 1.25
run.finish()
""",
        WANDB_MODE="offline",
    )
    assert server.requests == []
    client.sync()
    run = server.runs["off"]
    assert [row["loss"] for row in run.history] == [step / 3 for step in range(30)]
    assert (run.summary["best"], run.group, run.job_type, run.state) == (1.25, "g", "train", "finished")


def test_a_run_does_not_begin(tmp_path: Path):
    """`wandb.init` raises when its time is up, at once for a wrong key; then the process ends without delay."""

    def begin(trouble: str) -> tuple[str, float, float]:
        folder = tmp_path / trouble
        folder.mkdir()
        with Server() as server:
            key = "x" * 40 if trouble == "wrong key" else server.key
            server.trouble = trouble if trouble != "wrong key" else None
            code = "print(json.dumps(timed(lambda: begin('one', init_timeout=5)))); print(time.time())"
            (raised, seconds), before = Client(folder, server)(code, WANDB_API_KEY=key)
            after = time.time() - before
            assert server.runs == {}
        assert not any(key.encode() in path.read_bytes() for path in folder.rglob("*") if path.is_file())
        return raised, seconds, after

    troubles = ["500", "hang", "refuse", "wrong key"]
    with ThreadPoolExecutor(len(troubles)) as pool:
        for trouble, (raised, seconds, after) in zip(troubles, pool.map(begin, troubles), strict=True):
            print(f"{trouble}: wandb.init raised {raised} after {seconds:.1f} s, the process ended {after:.1f} s later")
            assert raised == "CommError"
            assert seconds + after < 60, "by default it is 90"


def test_it_dies_in_a_run(server: Server, client: Client):
    """`log` does not notice, `finish` gives up when its time is up, and what was not sent can be synced."""
    server.dies_after = 10
    (slowest, (raised, seconds)) = client("""
run = begin("one", finish_timeout=5)
rows = [timed(lambda: run.log({"loss": step / 3}, step=step)) for step in range(30)]
print(json.dumps(max(rows, key=lambda row: row[1])))
print(json.dumps(timed(run.finish)))
""")
    print(f"the slowest log: {slowest}; finish: raised {raised} after {seconds:.1f} s")
    assert slowest[0] is None
    assert raised is None
    assert 4 < seconds < 60, "by default it is for ever"
    run = server.runs["one"]
    assert (len(run.history), run.state) == (10, "running")
    assert (server.dies_after, server.trouble) == (None, "refuse")

    server.trouble = None
    client.sync()
    steps = [row["_step"] for row in run.history]
    assert steps == [*range(10), *range(30)]  # the client sends all rows once more, after those that were there
    assert {row["_step"]: row["loss"] for row in run.history} == {step: step / 3 for step in range(30)}


def test_it_comes_back(server: Server, client: Client):
    """A client tries again until there is an answer, and no row is lost or doubled."""
    server.dies_after = 10
    waiting = threading.Thread(target=lambda: (_until_refused(server), time.sleep(1), setattr(server, "trouble", None)))
    waiting.start()
    client("run = begin('one')\nfor step in range(30): run.log({'loss': step / 3})\nrun.finish()")
    waiting.join()
    assert [row["loss"] for row in server.runs["one"].history] == [step / 3 for step in range(30)]
    assert server.runs["one"].state == "finished"


def _until_refused(server: Server) -> None:
    while server.trouble != "refuse":
        time.sleep(0.02)


def test_what_is_not_known_is_told(tmp_path: Path):
    """A query, or a filter, of which the stand-in has never heard is refused and noted."""
    with Server() as server:
        Client(tmp_path, server)("""
api = wandb.Api()
print(json.dumps(timed(lambda: api.project("p", "lab").id)))
api.create_run(run_id="r", project="p", entity="lab")
print(json.dumps(timed(lambda: list(api.runs("lab/p", filters={"host": "here"})))))
""")
    asked = [line.splitlines()[0] for line in server.unknown]
    assert asked == [
        "POST /graphql GetProject: query GetProject",
        "POST /graphql Runs: a filter or an order by host",
    ]
