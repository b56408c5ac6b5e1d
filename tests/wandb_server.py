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
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import quote, unquote

HISTORY, EVENTS, SUMMARY, OUTPUT = "wandb-history.jsonl", "wandb-events.jsonl", "wandb-summary.json", "output.log"


class Unknown(Exception):
    """The client asks what this server does not know."""


class Refused(Exception):
    """An HTTP status that is not 200, with what is wrong in words."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status


class Dead(Exception):
    """There is no answer at all: the connection ends."""


@dataclass
class Run:
    """What the server has of a run.

    Attributes:
        config: As W&B keeps it, {"key": {"value": ...}}; "_wandb" is the client's own.
        lines: The lines of each file that the client streams, by file name.
        state: "running", "finished" (exit code 0) or "failed"; a test may set "crashed", which takes W&B minutes.
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
    config: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    lines: dict[str, list[str]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    state: str = "running"
    exit_code: int | None = None

    @property
    def history(self) -> list[dict[str, Any]]:
        """The rows in the order in which they were logged."""
        return [json.loads(line) for line in self.lines.get(HISTORY, [])]

    def stream(self, name: str, offset: int, content: list[str]) -> None:
        """Lines `offset` and on of a file: a client that saw no answer sends them once more."""
        lines = self.lines.setdefault(name, [])
        if offset > len(lines) and name != OUTPUT:
            raise Unknown(f"lines of {name} from {offset} on, where there are {len(lines)}")
        lines[offset : offset + len(content)] = content
        if name == SUMMARY:
            self.summary = json.loads(content[-1])

    def value(self, path: str) -> Any:
        """What a filter or an order means with `config.lr`, `display_name`, ...; None where there is no such thing."""
        head, _, rest = path.partition(".")
        plain = {"name": self.id, "display_name": self.name, "group": self.group, "job_type": self.job_type}
        plain |= {"state": self.state, "tags": self.tags, "created_at": self.created, "heartbeat_at": self.created}
        head = re.sub("[A-Z]", lambda upper: "_" + upper[0].lower(), head)
        if not rest and head in plain:
            return plain[head]
        tree: Any = {"config": self.config, "summary_metrics": self.summary}.get(head)
        if tree is None or not rest:
            raise Unknown(f"a filter or an order by {path}")
        if head == "config":
            tree = {key: entry["value"] for key, entry in tree.items()}
            rest = rest.removesuffix(".value")
        while rest:
            if rest in tree:
                return tree[rest]
            key, _, rest = rest.partition(".")
            tree = tree.get(key)
            if not isinstance(tree, dict):
                return None
        return tree


def matches(run: Run, query: dict[str, Any]) -> bool:
    """Whether a run is among those of a filter in the language of MongoDB."""
    groups: dict[str, Callable[[Iterable], bool]] = {"$and": all, "$or": any, "$nor": lambda each: not any(each)}
    for path, wanted in query.items():
        if path in groups:
            if not groups[path](matches(run, part) for part in wanted):
                return False
            continue
        tests = wanted if isinstance(wanted, dict) and any(key[:1] == "$" for key in wanted) else {"$eq": wanted}
        if not all(_holds(run.value(path), operator, operand) for operator, operand in tests.items()):
            return False
    return True


def _holds(value: Any, operator: str, operand: Any) -> bool:
    each = [*value, value] if isinstance(value, list) else [value]  # a list is what any of its elements is
    match operator:
        case "$eq":
            return operand in each
        case "$ne":
            return operand not in each
        case "$in":
            return any(one in operand for one in each)
        case "$nin":
            return all(one not in operand for one in each)
        case "$exists":
            return (value is not None) == operand
        case "$regex":
            return any(isinstance(one, str) and re.search(operand, one) for one in each)
        case "$gt":
            return value is not None and value > operand
        case "$gte":
            return value is not None and value >= operand
        case "$lt":
            return value is not None and value < operand
        case "$lte":
            return value is not None and value <= operand
    raise Unknown(f"a filter with {operator}")


def _page(nodes: list[dict], first: int | None, cursor: str | None) -> dict[str, Any]:
    """One page of a list; the cursor is the number of nodes up to it."""
    start = int(cursor or 0)
    end = min(start + (first or 50), len(nodes))
    edges = [{"node": nodes[index], "cursor": str(index + 1)} for index in range(start, end)]
    return {"edges": edges, "pageInfo": {"endCursor": str(end), "hasNextPage": end < len(nodes)}}


def _in_json(value: Any) -> Any:
    """Without the NaN and infinities that JSON lacks, which W&B keeps as strings."""
    if isinstance(value, dict):
        return {key: _in_json(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_in_json(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


class _Queries:
    """The answer to each GraphQL query: a method with its name, which is given the variables."""

    def __init__(self, server: "Server") -> None:
        self.server = server

    def _run(self, asked: dict[str, Any], key: str = "name") -> Run | None:
        run = self.server.runs.get(asked[key].removeprefix("run:"))
        return run if run and (run.entity, run.project) == (asked["entity"], asked["project"]) else None

    def _node(self, run: Run) -> dict[str, Any]:
        """A run with all the fields that any query asks for."""
        rows = run.history
        who = {"id": "user", "name": run.entity, "username": run.entity}
        project = {"id": run.project, "name": run.project, "entity": {"id": run.entity, "name": run.entity}}
        last = max((row.get("_step", 0) for row in rows), default=-1)
        tail = {name: json.dumps(run.lines.get(name, [])[-1:]) for name in (HISTORY, EVENTS)}
        return {
            **{"id": f"run:{run.id}", "name": run.id, "displayName": run.name, "group": run.group, "user": who},
            **{"jobType": run.job_type, "tags": run.tags, "notes": run.notes, "state": run.state, "project": project},
            **{"config": json.dumps(run.config), "summaryMetrics": json.dumps(run.summary), "systemMetrics": "{}"},
            **{"projectId": 1, "sweepName": None, "description": None, "commit": None, "readOnly": False},
            **{"createdAt": run.created, "heartbeatAt": run.created, "wandbConfig": '{"t": 1}'},
            **{"historyTail": tail[HISTORY], "eventsTail": tail[EVENTS], "historyLineCount": len(rows)},
            **{"eventsLineCount": len(run.lines.get(EVENTS, [])), "logLineCount": len(run.lines.get(OUTPUT, []))},
            "historyKeys": {"lastStep": last, "sets": [], "keys": {key: {} for row in rows for key in row}},
        }

    def _of_run(self, asked: dict[str, Any], key: str, fields: Callable[[Run], dict[str, Any]]) -> dict[str, Any]:
        run = self._run(asked, key)
        return {"project": {"internalId": 1, "run": fields(run) if run else None}}

    # Who is there, and what the server can do.

    def Viewer(self, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        entity = self.server.entity
        return {
            "viewer": {
                **{"id": "user", "entity": entity, "name": entity, "username": entity, "email": "", "flags": "{}"},
                **{"admin": False, "deletedAt": None, "apiKeys": {"edges": []}, "teams": {"edges": []}},
            }
        }

    GetViewer = GetDefaultEntity = Viewer

    def ServerFeaturesQuery(self, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        return {"serverInfo": {"features": []}}

    def OrganizationCoreWeaveOrganizationID(self, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        return {"entity": None}

    # A run is written.

    def RunResumeStatus(self, asked: dict[str, Any]) -> dict[str, Any]:
        run, entity = self._run(asked), asked["entity"]
        project = {"id": asked["project"], "name": asked["project"], "entity": {"id": entity, "name": entity}}
        return {"model": {**project, "bucket": self._node(run) if run else None}}

    def UpsertBucket(self, asked: dict[str, Any]) -> dict[str, Any]:
        key = (asked.get("name") or asked.get("id") or "").removeprefix("run:")
        run = self.server.runs.get(key)
        inserted = run is None
        if run is None:
            entity, project = asked.get("entity") or self.server.entity, asked.get("project") or "uncategorized"
            created = datetime.now(UTC).isoformat().replace("+00:00", "Z")
            run = self.server.runs[key] = Run(key, entity, project, key, created)
        if asked.get("name"):  # by its name a run is begun, by its id it is edited
            run.state, run.exit_code = asked.get("state") or "running", None
        run.name = asked.get("displayName") or asked.get("display_name") or run.name
        for name, variable in {"group": "groupName", "job_type": "jobType", "notes": "notes", "tags": "tags"}.items():
            if asked.get(variable) is not None:
                setattr(run, name, asked[variable])
        for name, variable in {"config": "config", "summary": "summaryMetrics"}.items():
            if asked.get(variable):
                setattr(run, name, json.loads(asked[variable]))
        return {"upsertBucket": {"bucket": self._node(run), "inserted": inserted}}

    def CreateRunFiles(self, asked: dict[str, Any]) -> dict[str, Any]:
        files = [{"name": name, "uploadUrl": self._url(asked["run"], name)} for name in asked["files"]]
        return {"createRunFiles": {"runID": f"run:{asked['run']}", "uploadHeaders": [], "files": files}}

    def _url(self, run: str, name: str) -> str:
        return f"{self.server.url}/storage/{quote(run, safe='')}/{quote(name)}"

    # Artifacts, which is what the client makes of tables, are taken and kept, no more.

    def CreateArtifact(self, asked: dict[str, Any]) -> dict[str, Any]:
        key = f"artifact{len(self.server.artifacts)}"
        self.server.artifacts[key] = {"state": "PENDING", **asked["input"]}
        artifact = {"id": key, "state": "PENDING", "artifactSequence": {"id": key, "latestArtifact": None}}
        return {"createArtifact": {"artifact": artifact}}

    def CreateArtifactManifest(self, asked: dict[str, Any]) -> dict[str, Any]:
        return {"createArtifactManifest": self._manifest(asked["artifactID"])}

    def UpdateArtifactManifest(self, asked: dict[str, Any]) -> dict[str, Any]:
        return {"updateArtifactManifest": self._manifest(asked["artifactManifestID"])}

    def _manifest(self, key: str) -> dict[str, Any]:
        file = {"id": key, "uploadUrl": f"{self.server.url}/artifacts/{key}/manifest", "uploadHeaders": []}
        return {"artifactManifest": {"id": key, "file": file}}

    def CreateArtifactFiles(self, asked: dict[str, Any]) -> dict[str, Any]:
        def file(about: dict[str, Any]) -> dict[str, Any]:
            key = about["artifactID"]
            url = f"{self.server.url}/artifacts/{key}/{quote(about['name'])}"
            answer = {"storagePath": None, "uploadUrl": url, "uploadHeaders": [], "uploadMultipartUrls": None}
            return answer | {"artifact": {"id": key}}

        files = [file(about) for about in asked["input"]["artifactFiles"]]
        return {"createArtifactFiles": {"files": _page(files, len(files), None)}}

    def CommitArtifact(self, asked: dict[str, Any]) -> dict[str, Any]:
        artifact = self.server.artifacts[asked["artifactID"]]
        artifact["state"] = "COMMITTED"
        return {"commitArtifact": {"artifact": {"id": asked["artifactID"], "digest": artifact["digest"]}}}

    def ArtifactType(self, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        """Of which type the artifact of that name was so far: it may have any."""
        return {"project": {"artifact": None}}

    # Runs are read.

    def Runs(self, asked: dict[str, Any]) -> dict[str, Any]:
        query = json.loads(asked.get("filters") or "{}")
        runs = [run for run in self.server.runs.values() if run.entity == asked["entity"]]
        runs = [run for run in runs if run.project == asked["project"]]
        if not runs:
            return {"project": None}
        runs = [run for run in runs if matches(run, query)]
        for order in reversed((asked.get("order") or "+created_at").split(",")):
            runs = self._sorted(runs, order.strip().lstrip("+-"), order.strip().startswith("-"))
        # All nodes of a project, of which a page shows a few, would be slow: no node is made that is not shown.
        page = _page([{"run": run} for run in runs], asked.get("perPage"), asked.get("cursor"))
        for edge in page["edges"]:
            edge["node"] = self._node(edge["node"]["run"])
        return {"project": {"internalId": 1, "readOnly": False, "runCount": len(runs), "runs": page}}

    @staticmethod
    def _sorted(runs: list[Run], path: str, down: bool) -> list[Run]:
        """By a value; runs without it come last."""
        known = [run for run in runs if run.value(path) is not None]
        rest = [run for run in runs if run.value(path) is None]
        return sorted(known, key=lambda run: run.value(path), reverse=down) + rest

    def Run(self, asked: dict[str, Any]) -> dict[str, Any]:
        return self._of_run(asked, "name", self._node)

    RunHistoryKeys = Run

    def RunState(self, asked: dict[str, Any]) -> dict[str, Any]:
        return self._of_run(asked, "run" if "run" in asked else "name", self._node)

    QueryRunInfo = RunState

    def RunParquetHistory(self, asked: dict[str, Any]) -> dict[str, Any]:
        """No part of the history has been packed: the client reads all of it in pages."""
        return self._of_run(asked, "runName", lambda run: {"parquetHistory": {"parquetUrls": [], "liveData": []}})

    def HistoryPage(self, asked: dict[str, Any]) -> dict[str, Any]:
        def rows(run: Run) -> list[str]:
            steps = ((line, json.loads(line)["_step"]) for line in run.lines.get(HISTORY, []))
            chosen = [line for line, step in steps if asked["minStep"] <= step < asked["maxStep"]]
            return chosen[: asked["pageSize"]]

        return self._of_run(asked, "run", lambda run: {"history": rows(run)})

    def SampledHistoryPage(self, asked: dict[str, Any]) -> dict[str, Any]:
        return self._of_run(asked, "run", lambda run: {"sampledHistory": [self._sample(run, asked["spec"])]})

    def RunSampledHistory(self, asked: dict[str, Any]) -> dict[str, Any]:
        def samples(run: Run) -> list[list]:
            return [self._sample(run, spec) for spec in asked["specs"]]

        return self._of_run(asked, "name", lambda run: {"sampledHistory": samples(run)})

    @staticmethod
    def _sample(run: Run, spec: str) -> list[dict[str, Any]]:
        """The rows that have all the keys asked for, and of these rows the keys."""
        wanted = json.loads(spec)
        keys = wanted["keys"]
        low, high = wanted.get("minStep", 0), wanted.get("maxStep", math.inf)
        rows = (row for row in run.history if low <= row.get("_step", 0) < high)
        return [_in_json({key: row[key] for key in keys}) for row in rows if all(key in row for key in keys)]

    def RunFullHistory(self, asked: dict[str, Any]) -> dict[str, Any]:
        """All rows: W&B would choose `samples` of more."""
        return self._of_run(asked, "name", lambda run: {"history": run.lines.get(HISTORY, []), "events": []})

    def RunFiles(self, asked: dict[str, Any]) -> dict[str, Any]:
        def files(run: Run) -> dict[str, Any]:
            names, pattern = asked.get("fileNames"), (asked.get("pattern") or "%").replace("%", "*")
            chosen = [name for name in sorted(run.files) if not names or name in names]
            nodes = [self._file(run, name) for name in chosen if fnmatchcase(name, pattern)]
            page = _page(nodes, asked.get("fileLimit"), asked.get("fileCursor"))
            return {"fileCount": len(run.files), "files": page}

        return self._of_run(asked, "name", files)

    def _file(self, run: Run, name: str) -> dict[str, Any]:
        data, url = run.files[name], self._url(run.id, name)
        digest = base64.b64encode(hashlib.md5(data).digest()).decode()
        about = {"id": f"file:{run.id}/{name}", "name": name, "url": url, "directUrl": url, "sizeBytes": len(data)}
        return about | {"mimetype": mimetypes.guess_type(name)[0], "updatedAt": run.created, "md5": digest}


class _Handler(BaseHTTPRequestHandler):
    """One connection of a client."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each answer is 40 ms late
    server: "_Listener"

    def setup(self) -> None:
        super().setup()
        self.server.connections[self.connection] = threading.current_thread()

    def finish(self) -> None:
        self.server.connections.pop(self.connection, None)
        super().finish()

    def handle(self) -> None:
        try:
            super().handle()
        except OSError:  # the client is gone, or this server died
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on stderr."""

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        try:
            status, kind, data = self.server.owner.answer(self.command, unquote(self.path), body, self.headers)
        except Dead:
            self.close_connection = True
            return
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_POST = do_PUT = do_HEAD = do_DELETE = do_GET


class _Listener(ThreadingHTTPServer):
    """The open port."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, owner: "Server") -> None:
        self.owner = owner
        self.connections: dict[socket.socket, threading.Thread] = {}
        super().__init__(("127.0.0.1", port), _Handler, bind_and_activate=False)
        self.server_bind()

    def handle_error(self, request: object, client_address: object) -> None:
        self.owner.unknown.append(f"an error of the server itself: {__import__('traceback').format_exc()}")


class Server:
    """The server; see the module.

    Attributes:
        url: Where it is.
        key: The one API key that it takes.
        env: What the environment of a client needs.
        dies_after: After so many rows of history in all it goes down, as with trouble "refuse": the rest of the rows
            is lost with the connection. It is None again when that has happened.
        runs: By id.
        artifacts: What was said of each when it was created, and its "files", by id.
        requests: A line for each.
        unknown: What clients asked in vain; a test should look that there is none.
    """

    def __init__(self, entity: str = "lab") -> None:
        self.entity = entity
        self.key = "0123456789" * 4
        self.runs: dict[str, Run] = {}
        self.artifacts: dict[str, dict[str, Any]] = {}
        self.requests: list[str] = []
        self.unknown: list[str] = []
        self.dies_after: int | None = None
        self._trouble: str | None = None
        self._changed = threading.Condition()
        self._lock = threading.Lock()
        self._queries = _Queries(self)

    def __enter__(self) -> Self:
        self._listener = _Listener(0, self)
        self._port = self._listener.server_address[1]
        self._listen()
        return self

    def __exit__(self, *error: object) -> None:
        threads = list(self._listener.connections.values())
        self.trouble = "refuse"
        self._listener.server_close()
        for thread in threads:
            thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def env(self) -> dict[str, str]:
        quiet = {"WANDB_ERROR_REPORTING": "false", "WANDB_MODE": "online"}
        return {"WANDB_BASE_URL": self.url, "WANDB_API_KEY": self.key, "WANDB_ENTITY": self.entity, **quiet}

    @property
    def trouble(self) -> str | None:
        """None, "500": each answer is that, "hang": there is none, "refuse": the port is closed."""
        return self._trouble

    @trouble.setter
    def trouble(self, trouble: str | None) -> None:
        assert trouble in (None, "500", "hang", "refuse")
        with self._changed:
            before, self._trouble = self._trouble, trouble
            self._changed.notify_all()
        if trouble == "refuse" != before:
            self._refuse()
        elif before == "refuse" != trouble:
            self._listen()

    def _listen(self) -> None:
        self._listener.server_activate()
        serve = threading.Thread(target=self._listener.serve_forever, args=(0.02,), daemon=True)
        serve.start()

    def _refuse(self) -> None:
        """No connection is left, and the port is bound only, so that nobody else gets it meanwhile."""
        old = self._listener
        old.shutdown()
        old.server_close()
        for connection in list(old.connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:  # closed by the client
                continue
        self._listener = _Listener(self._port, self)

    def answer(self, method: str, path: str, body: bytes, headers: Any) -> tuple[int, str, bytes]:
        """Status, type and content of the answer to a request.

        Raises:
            Dead: There is none.
        """
        what = f"{method} {path}"
        try:
            if self._trouble == "hang":
                with self._changed:
                    self._changed.wait_for(lambda: self._trouble != "hang")
                raise Dead
            if self._trouble:
                raise Refused(500, "trouble")
            asked = json.loads(body) if path == "/graphql" else {}
            if asked:
                name = asked.get("operationName") or re.search(r"(?:query|mutation)\s+(\w+)", asked["query"])[1]
                what += f" {name}"
            signed = path.startswith(("/storage/", "/artifacts/"))  # addresses that only this server gives away
            if not signed and headers.get("Authorization") != self._authorization():
                raise Refused(401, "user is not logged in")
            with self._lock:
                if asked:
                    answer: Any = {"data": self._query(name, asked.get("variables") or {})}
                elif signed:
                    data = self._store(method, path, body)
                    self.requests.append(f"{what} 200")
                    return 200, "application/octet-stream", data
                elif path.endswith("/file_stream") and method == "POST":
                    answer = self._stream(path.split("/")[-2], json.loads(body))
                else:
                    raise Unknown(what)
            status = 200
        except Dead:
            self.requests.append(f"{what} -")
            raise
        except Refused as error:
            status = error.status
            answer = {"errors": [{"message": str(error), "extensions": {"code": "PERMISSION_ERROR"}}], "data": None}
        except Unknown as error:
            self.unknown.append(f"{what}: {error}\n{body[:2000].decode(errors='replace')}")
            status, answer = 400, {"errors": [{"message": f"unknown to the stand-in: {error}"}]}
        self.requests.append(f"{what} {status}")
        return status, "application/json", json.dumps(answer).encode()

    def _authorization(self) -> str:
        return "Basic " + base64.b64encode(f"api:{self.key}".encode()).decode()

    def _query(self, name: str, variables: dict[str, Any]) -> dict[str, Any]:
        query = None if name.startswith("_") else getattr(self._queries, name, None)
        if query is None:
            raise Unknown(f"query {name}")
        return query(variables)

    def _stream(self, key: str, sent: dict[str, Any]) -> dict[str, Any]:
        """Lines of the files of a run that grow, and its end."""
        if (run := self.runs.get(key)) is None:
            raise Refused(404, f"no run {key}")
        for name, part in (sent.get("files") or {}).items():
            lines, left = part["content"], math.inf
            if name == HISTORY and self.dies_after is not None:
                left = self.dies_after - sum(len(each.lines.get(HISTORY, [])) for each in self.runs.values())
                lines = lines[: max(left, 0)]
            if lines:
                run.stream(name, part["offset"], lines)
            if len(part["content"]) >= left:
                self.dies_after, self.trouble = None, "refuse"
                raise Dead
        if sent.get("complete"):
            run.exit_code = sent.get("exitcode")
            run.state = "failed" if run.exit_code else "finished"
        return {}

    def _store(self, method: str, path: str, body: bytes) -> bytes:
        """A file of a run or an artifact is put or got."""
        _, kind, key, name = path.split("/", 3)
        owner = self.runs.get(key) if kind == "storage" else self.artifacts.get(key)
        if owner is None:
            raise Refused(404, path)
        files = owner.files if isinstance(owner, Run) else owner.setdefault("files", {})
        if method == "PUT":
            files[name] = body
            return b""
        if name not in files:
            raise Refused(404, path)
        return files[name]
