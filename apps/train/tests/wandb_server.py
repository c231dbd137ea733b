"""A stand-in for the server of W&B: as much of it as a sweep needs, and it writes down what it is told."""

import gzip
import json
import re
import threading
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import yaml

ENTITY = "somebody"

Data = dict[str, Any]


class WandbServer:
    """Listens on 127.0.0.1 while it is entered, and hands out the runs of one sweep.

    It keeps what it receives: the `sweep`, the `runs` by their id, and the `artifacts`, each with its files.
    What it does not know is answered with an error and kept in `problems`, which a test should find empty.
    It has no page, no optimiser of its own and none of the checks of the real server.

    Args:
        values: What each run of the sweep is to try, by swept key.
    """

    def __init__(self, values: Sequence[Data] = ()) -> None:
        self.sweep: Data = {}
        self.runs: dict[str, Data] = {}
        self.artifacts: dict[str, Data] = {}
        self.problems: list[str] = []
        self._values = list(values)
        self._handed_out = 0
        self._lock = threading.Lock()
        self._server = _QuietServer(("127.0.0.1", 0), _make_handler(self))
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, Data]:
        """Give the status and the content of the answer to a request."""
        try:
            with self._lock:
                return 200, self._answer(method, path, body)
        except _UnmeasuredError:
            return 404, {}
        except Exception as error:
            self.problems.append(f"{method} {path}: {error!r}")
            return 400, {"errors": [{"message": repr(error)}]}

    def _answer(self, method: str, path: str, body: bytes) -> Data:
        match method, path.strip("/").split("/"):
            case "POST", ["graphql"]:
                request = json.loads(body)
                (name,) = re.findall(r"^\s*(?:query|mutation)\s+(\w+)", request["query"])
                return {"data": getattr(self, f"_{name}")(request.get("variables") or {})}
            case "POST", ["files", _, _, run, "file_stream"]:
                return self._receive(run, json.loads(body))
            case "PUT", ["storage", *_]:
                return {}
            case "POST", ["sdk", "otel", *_]:
                raise _UnmeasuredError
            case _:
                raise LookupError("unknown request")

    def _receive(self, run_id: str, message: Data) -> Data:
        """Keep what a run streams: lines of history, and at the end its exit code."""
        run = self.runs[run_id]
        history = message.get("files", {}).get("wandb-history.jsonl", {"content": []})
        run["history"] += [json.loads(line) for line in history["content"]]
        if message.get("complete"):
            run["exit_code"] = message["exitcode"]
        return {"exitcode": None, "limits": {}}

    # A sweep and its agent.

    def _UpsertSweep(self, variables: Data) -> Data:  # noqa: N802
        project = variables["projectName"]
        self.sweep = {"id": "sweep", "project": project, "config": yaml.safe_load(variables["config"])}
        sweep = {"name": self.sweep["id"], "project": _describe_project(project)}
        return {"upsertSweep": {"sweep": sweep, "configValidationWarnings": []}}

    def _SweepWithRuns(self, variables: Data) -> Data:  # noqa: N802
        assert (variables["project"], variables["sweep"]) == (self.sweep["project"], self.sweep["id"])
        return {"project": {"sweep": {"config": yaml.safe_dump(self.sweep["config"]), "runs": {"edges": []}}}}

    def _CreateAgent(self, variables: Data) -> Data:  # noqa: N802
        assert (variables["projectName"], variables["sweep"]) == (self.sweep["project"], self.sweep["id"])
        return {"createAgent": {"agent": {"id": "agent"}}}

    def _Heartbeat(self, variables: Data) -> Data:  # noqa: N802
        """Hand out the next run when none is running."""
        commands = []
        if not json.loads(variables["runState"]) and self._handed_out < len(self._values):
            arguments = {key: {"value": value} for key, value in self._values[self._handed_out].items()}
            commands.append({"type": "run", "run_id": f"run{self._handed_out}", "program": "", "args": arguments})
            self._handed_out += 1
        return {"agentHeartbeat": {"agent": {"id": "agent"}, "commands": json.dumps(commands)}}

    # A run.

    def _Viewer(self, variables: Data) -> Data:  # noqa: N802
        return {"viewer": {"id": "viewer", "entity": ENTITY, "username": ENTITY, "flags": "{}", "teams": {"edges": []}}}

    def _OrganizationCoreWeaveOrganizationID(self, variables: Data) -> Data:  # noqa: N802
        return {"entity": None}

    def _RunResumeStatus(self, variables: Data) -> Data:  # noqa: N802
        return {"model": {"id": "project", "name": variables["project"], "bucket": None}}

    def _UpsertBucket(self, variables: Data) -> Data:  # noqa: N802
        """Make a run, or change what is said about it."""
        name = variables["name"] or variables["id"]
        inserted = name not in self.runs
        run = self.runs.setdefault(name, {"config": {}, "history": [], "exit_code": None})
        run |= {key: variables[key] for key in ("project", "sweep", "displayName") if variables.get(key) is not None}
        config = json.loads(variables.get("config") or "{}")
        run["config"] |= {key: item["value"] for key, item in config.items()}
        bucket = {
            "id": name,
            "name": name,
            "displayName": run.get("displayName", name),
            "sweepName": run.get("sweep"),
            "config": json.dumps({key: {"value": value} for key, value in run["config"].items()}),
            "project": _describe_project(run["project"]),
            "historyLineCount": 0,
        }
        return {"upsertBucket": {"bucket": bucket, "inserted": inserted}}

    def _CreateRunFiles(self, variables: Data) -> Data:  # noqa: N802
        files = [{"name": name, "uploadUrl": f"{self.url}/storage/{name}"} for name in variables["files"]]
        return {"createRunFiles": {"runID": variables["run"], "uploadHeaders": [], "files": files}}

    # An artifact.

    def _ServerFeaturesQuery(self, variables: Data) -> Data:  # noqa: N802
        return {"serverInfo": {"features": []}}

    def _ArtifactType(self, variables: Data) -> Data:  # noqa: N802
        return {"project": {"artifact": None}}

    def _CreateArtifact(self, variables: Data) -> Data:  # noqa: N802
        described = variables["input"]
        name = described["artifactCollectionName"]
        artifact = self.artifacts.setdefault(name, {"type": described["artifactTypeName"], "files": []})
        artifact["aliases"] = [alias["alias"] for alias in described["aliases"]]
        sequence = {"id": name, "latestArtifact": None}
        return {"createArtifact": {"artifact": {"id": name, "state": "PENDING", "artifactSequence": sequence}}}

    def _CreateArtifactManifest(self, variables: Data) -> Data:  # noqa: N802
        file = {"id": "manifest", "uploadUrl": f"{self.url}/storage/manifest", "uploadHeaders": []}
        return {"createArtifactManifest": {"artifactManifest": {"id": "manifest", "file": file}}}

    def _CreateArtifactFiles(self, variables: Data) -> Data:  # noqa: N802
        files = []
        for file in variables["input"]["artifactFiles"]:
            self.artifacts[file["artifactID"]]["files"].append(file["name"])
            url = f"{self.url}/storage/{file['name']}"
            artifact = {"id": file["artifactID"]}
            files.append({"storagePath": file["name"], "uploadUrl": url, "uploadHeaders": [], "artifact": artifact})
        return {"createArtifactFiles": {"files": {"edges": [{"node": file} for file in files]}}}

    def _CommitArtifact(self, variables: Data) -> Data:  # noqa: N802
        return {"commitArtifact": {"artifact": {"id": variables["artifactID"], "digest": "digest"}}}


class _UnmeasuredError(Exception):
    """The client sends measurements of itself; nobody wants them."""


class _QuietServer(ThreadingHTTPServer):
    daemon_threads = True  # a client that is gone leaves its connections open

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of a client that hung up; whatever else goes wrong is told by `answer`."""


def _describe_project(name: str) -> Data:
    return {"id": "project", "name": name, "entity": {"id": "entity", "name": ENTITY}}


def _make_handler(server: WandbServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            status, answer = server.answer(self.command, self.path.partition("?")[0], body)
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_PUT = do_POST  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Say nothing."""

    return Handler
