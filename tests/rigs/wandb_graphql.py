"""The runs that the stand-in for Weights & Biases keeps, and its answers to the GraphQL queries of wandb 0.31.

The answers hold more fields than were asked for: clients do not mind, and no GraphQL has to be parsed.
"""

import base64
import hashlib
import json
import math
import mimetypes
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import quote

Json = dict[str, Any]
HISTORY, EVENTS, SUMMARY, OUTPUT = "wandb-history.jsonl", "wandb-events.jsonl", "wandb-summary.json", "output.log"


class Refused(Exception):
    """A request to which the answer is an HTTP status that is not 200; 400 where this stand-in has a gap."""

    def __init__(self, words: str, status: int = 400) -> None:
        super().__init__(words)
        self.status = status


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
            raise Refused(f"lines of {name} from {offset} on, where there are {len(lines)}")
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
            raise Refused(f"a filter or an order by {path}")
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
                raise Refused(f"a filter with {missing}")
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


class Queries:
    """What is kept, and the answer to each query: a method with its name, which is given the variables."""

    def __init__(self, url: str, entity: str) -> None:
        self.url, self.entity = url, entity
        self.runs: dict[str, Run] = {}
        self.artifacts: dict[str, Json] = {}

    def answer(self, name: str, variables: Json) -> Json:
        query = None if name.startswith("_") else getattr(self, name, None)
        if query is None:
            raise Refused(f"query {name}")
        return query(variables)

    # Who is there, and what the server can do.

    def Viewer(self, asked: Json) -> Json:
        who = dict.fromkeys(("id", "entity", "name", "username", "email"), self.entity)
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
        runs, key = self.runs, (asked.get("name") or asked["id"]).removeprefix("run:")
        if inserted := key not in runs:
            created = datetime.now(UTC).isoformat().replace("+00:00", "Z")
            entity, project = asked.get("entity") or self.entity, asked.get("project") or "uncategorized"
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
        return f"{self.url}/{kind}/{quote(key, safe='')}/{quote(name)}"

    # Artifacts, which is what the client makes of tables, are taken and kept, no more.

    def CreateArtifact(self, asked: Json) -> Json:
        key = f"artifact{len(self.artifacts)}"
        self.artifacts[key] = {"state": "PENDING", "files": {}, **asked["input"]}
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
        artifact = self.artifacts[asked["artifactID"]]
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
        run = self.runs.get(asked.get("name") or asked.get("runName") or asked["run"])
        here = run and (run.entity, run.project) == (asked["entity"], asked["project"])
        return {"project": {"internalId": 1, "run": (fields or self._node)(run) if here else None}}

    Run = RunHistoryKeys = RunState = _of_run

    def Runs(self, asked: Json) -> Json:
        runs = [run for run in self.runs.values() if run.entity == asked["entity"]]
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

    def HistoryPage(self, asked: Json) -> Json:
        """All rows, or those of some steps; no part has been packed as Parquet, and `samples` chooses nothing."""
        low, high = asked.get("minStep", 0), asked.get("maxStep", math.inf)

        def page(run: Run) -> Json:
            rows = zip(run.lines.get(HISTORY, []), run.history, strict=True)
            chosen = [line for line, row in rows if low <= row["_step"] < high][: asked.get("pageSize")]
            return {"history": chosen, "events": [], "parquetHistory": {"parquetUrls": [], "liveData": []}}

        return self._of_run(asked, page)

    RunParquetHistory = RunFullHistory = HistoryPage

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
