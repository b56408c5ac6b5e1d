"""A stand-in for the server of Weights & Biases on 127.0.0.1, for tests with the real client.

    with Server() as server:
        subprocess.run([sys.executable, "train.py"], env=os.environ | server.env)
        server.runs["an-id"].history        # what has arrived
        server.trouble = "hang"             # and how it goes wrong

It knows what wandb 0.31 asks when runs are logged, resumed, synced and read back with `wandb.Api`: HTTP is here,
GraphQL in wandb_graphql.py. What it does not know it refuses, and notes in `Server.unknown`.
"""

import base64
import json
import math
import re
import socket
import threading
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import unquote

from wandb_graphql import HISTORY, Queries, Refused, Run


class Dead(Exception):
    """There is no answer at all: the connection ends."""


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
        self.key = "0123456789" * 4
        self.requests: list[str] = []
        self.unknown: list[str] = []
        self.dies_after: int | None = None
        self._trouble: str | None = None
        self._changed, self._lock = threading.Condition(), threading.Lock()
        self._listener = _Listener(0, self)
        self.url = f"http://127.0.0.1:{self._listener.server_port}"
        self._queries = Queries(self.url, entity)
        self.runs: dict[str, Run] = self._queries.runs
        self.artifacts = self._queries.artifacts
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
                if asked:
                    data = json.dumps({"data": self._queries.answer(name, asked.get("variables") or {})}).encode()
                elif by_address:
                    data = self._stored(method, path, body)
                elif path.endswith("/file_stream") and method == "POST":
                    data = self._streamed(path.split("/")[-2], json.loads(body))
                else:
                    raise Refused("such a request")
        except Refused as error:
            if error.status == 400:
                self.unknown.append(f"{what}: {error}\n{body[:2000].decode(errors='replace')}")
            status, why = error.status, {"message": str(error), "extensions": {"code": "PERMISSION_ERROR"}}
            data = json.dumps({"errors": [why], "data": None}).encode()
        except Dead:
            self.requests.append(f"{what} -")
            raise
        self.requests.append(f"{what} {status}")
        return status, data

    def _streamed(self, key: str, sent: dict[str, Any]) -> bytes:
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
