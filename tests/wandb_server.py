"""A stand-in for the server of Weights & Biases on 127.0.0.1, for tests with the real client.

    with Server() as server:
        subprocess.run([sys.executable, "train.py"], env=os.environ | server.env)
        server.runs["an-id"].history        # what has arrived
        server.trouble = "hang"             # and how it goes wrong

It knows what wandb 0.31 asks when runs are logged, resumed, synced and read back with `wandb.Api`. Each GraphQL query
is answered by the method of `_Queries` that has its name. The answers hold more fields than were asked for: clients
do not mind, and no GraphQL has to be parsed. What it does not know it refuses, and notes in `Server.unknown`.
"""

import base64
import gzip
import hashlib
import json
import math
import mimetypes
import re
import socket
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import quote, unquote

Json = dict[str, Any]
HISTORY, EVENTS, SUMMARY, OUTPUT = "wandb-history.jsonl", "wandb-events.jsonl", "wandb-summary.json", "output.log"


class Refused(Exception):
    """An HTTP status that is not 200, with what is wrong in words."""

    def __init__(self, words: str, status: int) -> None:
        super().__init__(words)
        self.status = status


class Unknown(Refused):
    """The client asks what this server does not know."""

    def __init__(self, words: str) -> None:
        super().__init__(f"unknown to the stand-in: {words}", 400)


class Dead(Exception):
    """There is no answer at all: the connection ends."""


@dataclass
class Run:
    """What the server has of a run.

    Attributes:
        config: As W&B keeps it, {"key": {"value": ...}}; "_wandb" is the client's own.
        lines: The lines of each file that the client streams, by file name.
        state: "running", "finished" (exit code 0) or "failed"; a test may set "crashed", for which W&B needs minutes.
    """

    id: str
    entity: str
    project: str
    name: str
    created: str
    group: str | None = None
    job_type: str | None = None
    notes: str | None = None
    tags: list[str] = field(default_factory=list)
    config: Json = field(default_factory=dict)
    summary: Json = field(default_factory=dict)
    lines: dict[str, list[str]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    state: str = "running"
    exit_code: int | None = None

    @property
    def history(self) -> list[Json]:
        """The rows in the order in which they were logged."""
        return [json.loads(line) for line in self.lines.get(HISTORY, [])]

    def stream(self, name: str, offset: int, content: list[str]) -> None:
        """Take lines `offset` and on of a file: a client that saw no answer sends them once more."""
        lines = self.lines.setdefault(name, [])
        if offset > len(lines) and name != OUTPUT:
            raise Unknown(f"lines of {name} from {offset} on, where there are {len(lines)}")
        lines[offset : offset + len(content)] = content
        if name == SUMMARY:
            self.summary = json.loads(content[-1])

    def value(self, path: str) -> Any:
        """What a filter or an order means by `config.lr`, `display_name`, ...; None where there is no such thing."""
        head, _, rest = path.partition(".")
        head = re.sub("[A-Z]", lambda upper: "_" + upper[0].lower(), head)
        if head in ("name", "display_name"):
            return self.id if head == "name" else self.name
        if head in ("group", "job_type", "state", "tags", "created_at"):
            return getattr(self, head.removesuffix("_at"))
        if head not in ("config", "summary_metrics") or not rest:
            raise Unknown(f"a filter or an order by {path}")
        tree: Any = self.summary
        if head == "config":
            tree, rest = {key: entry["value"] for key, entry in self.config.items()}, rest.removesuffix(".value")
        while isinstance(tree, dict) and rest not in tree and rest:
            key, _, rest = rest.partition(".")
            tree = tree.get(key)
        return tree.get(rest) if isinstance(tree, dict) else None


OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "$eq": lambda value, operand: value == operand or (isinstance(value, list) and operand in value),
    "$ne": lambda value, operand: not OPERATORS["$eq"](value, operand),
    "$in": lambda value, operand: any(OPERATORS["$eq"](value, one) for one in operand),
    "$nin": lambda value, operand: not OPERATORS["$in"](value, operand),
    "$exists": lambda value, operand: (value is not None) == operand,
    "$regex": lambda value, operand: isinstance(value, str) and re.search(operand, value) is not None,
    "$gt": lambda value, operand: value is not None and value > operand,
    "$gte": lambda value, operand: value is not None and value >= operand,
    "$lt": lambda value, operand: value is not None and value < operand,
    "$lte": lambda value, operand: value is not None and value <= operand,
}


def matches(run: Run, query: Json) -> bool:
    """Whether a run is among those of a filter in the language of MongoDB."""
    for path, wanted in query.items():
        if path in ("$and", "$or", "$nor"):
            parts = [matches(run, part) for part in wanted]
            holds = all(parts) if path == "$and" else any(parts) == (path == "$or")
        else:
            tests = wanted if isinstance(wanted, dict) and any(key[:1] == "$" for key in wanted) else {"$eq": wanted}
            if missing := tests.keys() - OPERATORS:
                raise Unknown(f"a filter with {missing}")
            holds = all(OPERATORS[name](run.value(path), operand) for name, operand in tests.items())
        if not holds:
            return False
    return True


def _page(items: list, first: int | None, cursor: str | None, node: Callable[[Any], Json]) -> Json:
    """One page of a list; the cursor is the number of items up to it."""
    start = int(cursor or 0)
    end = min(start + (first or 50), len(items))
    edges = [{"node": node(items[index]), "cursor": str(index + 1)} for index in range(start, end)]
    return {"edges": edges, "pageInfo": {"endCursor": str(end), "hasNextPage": end < len(items)}}


class _Queries:
    """The answer to each GraphQL query: a method with its name, which is given the variables."""

    def __init__(self, server: "Server") -> None:
        self.server = server

    # Who is there, and what the server can do.

    def Viewer(self, asked: Json) -> Json:
        who = dict.fromkeys(("id", "entity", "name", "username", "email"), self.server.entity)
        lists = {"apiKeys": {"edges": []}, "teams": {"edges": []}}
        return {"viewer": {**who, "flags": "{}", "admin": False, "deletedAt": None, **lists}}

    GetViewer = GetDefaultEntity = Viewer

    def ServerFeaturesQuery(self, asked: Json) -> Json:
        return {"serverInfo": {"features": []}}

    def OrganizationCoreWeaveOrganizationID(self, asked: Json) -> Json:
        return {"entity": None}

    # A run is written.

    def RunResumeStatus(self, asked: Json) -> Json:
        bucket = self._of_run(asked)["project"]["run"]
        return {"model": {**self._project(asked["entity"], asked["project"]), "bucket": bucket}}

    @staticmethod
    def _project(entity: str, project: str) -> Json:
        return {"id": project, "name": project, "entity": {"id": entity, "name": entity}}

    def UpsertBucket(self, asked: Json) -> Json:
        runs, key = self.server.runs, (asked.get("name") or asked["id"]).removeprefix("run:")
        if inserted := key not in runs:
            created = datetime.now(UTC).isoformat().replace("+00:00", "Z")
            entity, project = asked.get("entity") or self.server.entity, asked.get("project") or "uncategorized"
            runs[key] = Run(key, entity, project, key, created)
        run = runs[key]
        if asked.get("name"):  # by its name a run is begun, by its id it is edited
            run.state, run.exit_code = asked.get("state") or "running", None
        run.name = asked.get("displayName") or asked.get("display_name") or run.name
        for name, variable in {"group": "groupName", "job_type": "jobType", "notes": "notes", "tags": "tags"}.items():
            if asked.get(variable) is not None:
                setattr(run, name, asked[variable])
        run.config = json.loads(asked.get("config") or "null") or run.config
        run.summary = json.loads(asked.get("summaryMetrics") or "null") or run.summary
        return {"upsertBucket": {"bucket": self._node(run), "inserted": inserted}}

    def CreateRunFiles(self, asked: Json) -> Json:
        files = [{"name": name, "uploadUrl": self._url("storage", asked["run"], name)} for name in asked["files"]]
        return {"createRunFiles": {"runID": f"run:{asked['run']}", "uploadHeaders": [], "files": files}}

    def _url(self, kind: str, key: str, name: str) -> str:
        return f"{self.server.url}/{kind}/{quote(key, safe='')}/{quote(name)}"

    # Artifacts, which is what the client makes of tables, are taken and kept, no more.

    def CreateArtifact(self, asked: Json) -> Json:
        key = f"artifact{len(self.server.artifacts)}"
        self.server.artifacts[key] = {"state": "PENDING", "files": {}, **asked["input"]}
        return {"createArtifact": {"artifact": {"id": key, "state": "PENDING", "artifactSequence": {"id": key}}}}

    def ArtifactType(self, asked: Json) -> Json:
        """Of which type the artifact of that name was so far: it may have any."""
        return {"project": {"artifact": None}}

    def CreateArtifactManifest(self, asked: Json) -> Json:
        """Twice for each artifact; the second has the address to which the manifest goes."""
        key = asked["artifactID"]
        file = {"id": key, "uploadUrl": self._url("artifacts", key, "manifest"), "uploadHeaders": []}
        return {"createArtifactManifest": {"artifactManifest": {"id": key, "file": file}}}

    def CreateArtifactFiles(self, asked: Json) -> Json:
        def node(about: Json) -> Json:
            url = self._url("artifacts", about["artifactID"], about["name"])
            return {"uploadUrl": url, "uploadHeaders": [], "artifact": {"id": about["artifactID"]}}

        files = asked["input"]["artifactFiles"]
        return {"createArtifactFiles": {"files": _page(files, len(files), None, node)}}

    def CommitArtifact(self, asked: Json) -> Json:
        artifact = self.server.artifacts[asked["artifactID"]]
        artifact["state"] = "COMMITTED"
        return {"commitArtifact": {"artifact": {"id": asked["artifactID"], "digest": artifact["digest"]}}}

    # Runs are read.

    def _node(self, run: Run) -> Json:
        """A run with all the fields that any query asks for."""
        tails = {name: run.lines.get(name, [])[-1:] for name in (HISTORY, EVENTS)}
        last = json.loads(tails[HISTORY][0])["_step"] if tails[HISTORY] else -1
        return {
            **{"id": f"run:{run.id}", "name": run.id, "displayName": run.name, "group": run.group, "state": run.state},
            **{"jobType": run.job_type, "tags": run.tags, "notes": run.notes, "user": self.Viewer({})["viewer"]},
            **{"config": json.dumps(run.config), "summaryMetrics": json.dumps(run.summary), "systemMetrics": "{}"},
            **{"projectId": 1, "sweepName": None, "description": None, "commit": None, "readOnly": False},
            **{"createdAt": run.created, "heartbeatAt": run.created, "wandbConfig": '{"t": 1}'},
            **{"historyTail": json.dumps(tails[HISTORY]), "eventsTail": json.dumps(tails[EVENTS])},
            "historyLineCount": len(run.lines.get(HISTORY, [])),
            "eventsLineCount": len(run.lines.get(EVENTS, [])),
            "logLineCount": len(run.lines.get(OUTPUT, [])),
            "historyKeys": {"lastStep": last},
            "project": self._project(run.entity, run.project),
        }

    def _of_run(self, asked: Json, fields: Callable[[Run], Json] | None = None) -> Json:
        run = self.server.runs.get(asked.get("name") or asked.get("runName") or asked["run"])
        here = run and (run.entity, run.project) == (asked["entity"], asked["project"])
        return {"project": {"internalId": 1, "run": (fields or self._node)(run) if here else None}}

    Run = RunHistoryKeys = RunState = _of_run

    def Runs(self, asked: Json) -> Json:
        runs = [run for run in self.server.runs.values() if run.entity == asked["entity"]]
        runs = [run for run in runs if run.project == asked["project"]]
        if not runs:
            return {"project": None}
        runs = [run for run in runs if matches(run, json.loads(asked.get("filters") or "{}"))]
        order = asked.get("order") or "+created_at"
        without = [run for run in runs if run.value(order.lstrip("+-")) is None]  # they come last
        runs = [run for run in runs if run not in without]
        runs.sort(key=lambda run: run.value(order.lstrip("+-")), reverse=order.startswith("-"))
        page = _page(runs + without, asked.get("perPage"), asked.get("cursor"), self._node)
        return {"project": {"internalId": 1, "readOnly": False, "runCount": len(runs + without), "runs": page}}

    def RunParquetHistory(self, asked: Json) -> Json:
        """No part of the history has been packed: the client reads all of it in pages."""
        return self._of_run(asked, lambda run: {"parquetHistory": {"parquetUrls": [], "liveData": []}})

    def HistoryPage(self, asked: Json) -> Json:
        def page(run: Run) -> Json:
            rows = zip(run.lines.get(HISTORY, []), run.history, strict=True)
            chosen = [line for line, row in rows if asked["minStep"] <= row["_step"] < asked["maxStep"]]
            return {"history": chosen[: asked["pageSize"]]}

        return self._of_run(asked, page)

    def RunFullHistory(self, asked: Json) -> Json:
        """All rows: W&B would choose `samples` of more."""
        return self._of_run(asked, lambda run: {"history": run.lines.get(HISTORY, []), "events": []})

    def RunSampledHistory(self, asked: Json) -> Json:
        """The rows that have all the keys of a specification, and of these rows the keys; here, too, all rows."""

        def sample(run: Run, keys: list[str]) -> list[Json]:
            # JSON has no NaN: here they are strings
            rows = [json.loads(line, parse_constant=str) for line in run.lines.get(HISTORY, [])]
            return [{key: row[key] for key in keys} for row in rows if row.keys() >= set(keys)]

        specs = [json.loads(spec)["keys"] for spec in asked["specs"]]
        return self._of_run(asked, lambda run: {"sampledHistory": [sample(run, keys) for keys in specs]})

    def RunFiles(self, asked: Json) -> Json:
        def files(run: Run) -> Json:
            def node(name: str) -> Json:
                data, url = run.files[name], self._url("storage", run.id, name)
                digest = base64.b64encode(hashlib.md5(data).digest()).decode()
                about = {"mimetype": mimetypes.guess_type(name)[0], "updatedAt": run.created, "md5": digest}
                where = {"id": f"{run.id}/{name}", "name": name, "url": url, "directUrl": url}
                return {**where, **about, "sizeBytes": len(data)}

            wanted, pattern = asked.get("fileNames"), (asked.get("pattern") or "%").replace("%", "*")
            names = [name for name in sorted(run.files) if not wanted or name in wanted]
            names = [name for name in names if fnmatchcase(name, pattern)]
            page = _page(names, asked.get("fileLimit"), asked.get("fileCursor"), node)
            return {"fileCount": len(names), "files": page}

        return self._of_run(asked, files)


class _Handler(BaseHTTPRequestHandler):
    """One connection of a client."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each answer is 40 ms late
    server: "_Listener"

    def handle(self) -> None:
        self.server.connections[self.connection] = threading.current_thread()
        try:
            super().handle()
        except (Dead, OSError):  # or the client is gone
            self.close_connection = True
        finally:
            del self.server.connections[self.connection]

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on stderr."""

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        said = self.headers.get("Authorization")
        status, data = self.server.owner._answer(self.command, unquote(self.path), said, body)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_POST = do_PUT = do_DELETE = do_GET


class _Listener(ThreadingHTTPServer):
    """The port: nobody else gets it, but nobody can connect to it yet."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, owner: "Server") -> None:
        self.owner = owner
        self.connections: dict[socket.socket, threading.Thread] = {}
        super().__init__(("127.0.0.1", port), _Handler, bind_and_activate=False)
        self.server_bind()

    def handle_error(self, request: object, client_address: object) -> None:
        self.owner.unknown.append(f"an error of the stand-in: {traceback.format_exc()}")


class Server:
    """The server; see the module.

    Attributes:
        url: Where it is.
        key: The one API key that it takes.
        env: What the environment of a client needs.
        dies_after: After so many rows of history in all it goes down, as with trouble "refuse": the rest of the rows
            is lost with the connection. Then it is None again, so that the server can come back.
        runs: By id.
        artifacts: What was said of each when it was created, its "state" and its "files", by id.
        requests: A line for each.
        unknown: What clients asked in vain; a test should look that there is nothing.
    """

    def __init__(self, entity: str = "lab") -> None:
        self.entity, self.key = entity, "0123456789" * 4
        self.runs: dict[str, Run] = {}
        self.artifacts: dict[str, Json] = {}
        self.requests: list[str] = []
        self.unknown: list[str] = []
        self.dies_after: int | None = None
        self._trouble: str | None = None
        self._changed, self._lock = threading.Condition(), threading.Lock()
        self._queries = _Queries(self)
        self._listener = _Listener(0, self)
        self.url = f"http://127.0.0.1:{self._listener.server_port}"
        self.env = {"WANDB_BASE_URL": self.url, "WANDB_API_KEY": self.key, "WANDB_ENTITY": entity}
        self.env |= {"WANDB_MODE": "online", "WANDB_ERROR_REPORTING": "false"}

    def __enter__(self) -> Self:
        if self._trouble != "refuse":
            self._listen()
        return self

    def __exit__(self, *error: object) -> None:
        listener, self.trouble = self._listener, "refuse"
        for thread in list(listener.connections.values()):
            thread.join()
        self._listener.server_close()

    @property
    def trouble(self) -> str | None:
        """None; "500": each answer is that; "hang": there is none; "refuse": the port is closed."""
        return self._trouble

    @trouble.setter
    def trouble(self, trouble: str | None) -> None:
        if trouble not in (None, "500", "hang", "refuse"):
            raise ValueError(trouble)
        with self._changed:
            before, self._trouble = self._trouble, trouble
            self._changed.notify_all()
        if before != "refuse" and trouble == "refuse":
            old = self._listener
            old.shutdown()
            old.server_close()
            for connection in list(old.connections):
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:  # closed by the client
                    continue
            self._listener = _Listener(old.server_port, self)
        elif before == "refuse" and trouble != "refuse":
            self._listen()

    def _listen(self) -> None:
        self._listener.server_activate()
        threading.Thread(target=self._listener.serve_forever, args=(0.02,), daemon=True).start()

    def _answer(self, method: str, path: str, said: str | None, body: bytes) -> tuple[int, bytes]:
        """Status and content of the answer to a request.

        Raises:
            Dead: There is none.
        """
        status, what = 200, f"{method} {path}"
        try:
            if self._trouble == "hang":
                with self._changed:
                    self._changed.wait_for(lambda: self._trouble != "hang")
                raise Dead
            if self._trouble:
                raise Refused("trouble", 500)
            asked = json.loads(body) if path == "/graphql" else {}
            if asked:
                name = asked.get("operationName") or re.search(r"(?:query|mutation)\s+(\w+)", asked["query"])[1]
                what += f" {name}"
            by_address = path.startswith(("/storage/", "/artifacts/"))  # which only this server gives away
            if not by_address and said != "Basic " + base64.b64encode(f"api:{self.key}".encode()).decode():
                raise Refused("user is not logged in", 401)
            with self._lock:
                if asked and not name.startswith("_") and hasattr(self._queries, name):
                    data = json.dumps({"data": getattr(self._queries, name)(asked.get("variables") or {})}).encode()
                elif by_address:
                    data = self._stored(method, path, body)
                elif path.endswith("/file_stream") and method == "POST":
                    data = self._streamed(path.split("/")[-2], json.loads(body))
                else:
                    raise Unknown(what)
        except Refused as error:
            if isinstance(error, Unknown):
                self.unknown.append(f"{what}: {error}\n{body[:2000].decode(errors='replace')}")
            status, why = error.status, {"message": str(error), "extensions": {"code": "PERMISSION_ERROR"}}
            data = json.dumps({"errors": [why], "data": None}).encode()
        except Dead:
            self.requests.append(f"{what} -")
            raise
        self.requests.append(f"{what} {status}")
        return status, data

    def _streamed(self, key: str, sent: Json) -> bytes:
        """Take lines of the files of a run that grow, and its end."""
        if (run := self.runs.get(key)) is None:
            raise Refused(f"no run {key}", 404)
        for name, part in (sent.get("files") or {}).items():
            left: float = math.inf
            if name == HISTORY and self.dies_after is not None:
                left = max(0, self.dies_after - sum(len(each.lines.get(HISTORY, [])) for each in self.runs.values()))
            if lines := part["content"][: min(left, len(part["content"]))]:
                run.stream(name, part["offset"], lines)
            if len(part["content"]) >= left:
                self.dies_after, self.trouble = None, "refuse"
                raise Dead
        if sent.get("complete"):
            run.exit_code = sent.get("exitcode")
            run.state = "failed" if run.exit_code else "finished"
        return b"{}"

    def _stored(self, method: str, path: str, body: bytes) -> bytes:
        """Put or get a file of a run or an artifact."""
        _, kind, key, name = path.split("/", 3)
        owners = {key: run.files for key, run in self.runs.items()}
        if kind == "artifacts":
            owners = {key: artifact["files"] for key, artifact in self.artifacts.items()}
        if key not in owners or (method == "GET" and name not in owners[key]):
            raise Refused(path, 404)
        if method == "PUT":
            owners[key][name] = body
        return b"" if method == "PUT" else owners[key][name]
