"""Stand-in for the server of W&B that stores runs, sweeps and artifacts."""

import gzip
import json
import os
import re
import threading
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import yaml

ENTITY = "somebody"

_DESCRIPTION = ("project", "sweep", "displayName", "groupName", "jobType", "tags", "notes")

Data = dict[str, Any]


class WandbServer:
    """Serves on 127.0.0.1 inside a `with` block, starts the runs of one sweep, and stores what clients send.

    It stores the `sweep`, the `runs` and the versions of `artifacts` by their ids, and the content of all files in
    `storage`. It answers an unknown request with an error and adds it to `problems`, which a test should find empty.
    Unlike the real server, it has no pages, no optimizer and no checks, and a run id is unique among all projects.

    Args:
        values: The values of each run of the sweep, by swept key.
    """

    def __init__(self, values: Sequence[Data] = ()) -> None:
        self.sweep: Data = {}
        self.runs: dict[str, Data] = {}
        self.artifacts: dict[str, Data] = {}
        self.storage: dict[str, bytes] = {}
        self.problems: list[str] = []
        self._values = list(values)
        self._n_started = 0
        self._lock = threading.Lock()
        self._server = _QuietServer(("127.0.0.1", 0), _make_handler(self))
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))  # seconds until it stops
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def make_environment(self, home: Path) -> dict[str, str]:
        """Return the environment of a process that has only this server, and its own home."""
        keep = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "LANG") if name in os.environ}
        return keep | {
            "HOME": str(home),
            "WANDB_BASE_URL": self.url,
            "WANDB_API_KEY": "a" * 40,
            "WANDB_ERROR_REPORTING": "false",
            "WANDB_MODE": "online",
        }

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, Data | bytes]:
        """Return the status and the content of the answer to a request."""
        try:
            with self._lock:
                return 200, self._answer(method, path, body)
        except _UnmeasuredError:
            return 404, {}
        except Exception as error:
            self.problems.append(f"{method} {path}: {error!r}")
            return 400, {"errors": [{"message": repr(error)}]}

    def _answer(self, method: str, path: str, body: bytes) -> Data | bytes:
        match method, path.strip("/").split("/"):
            case "POST", ["graphql"]:
                request = json.loads(body)
                (name,) = re.findall(r"^\s*(?:query|mutation)\s+(\w+)", request["query"], re.MULTILINE)
                return {"data": getattr(self, f"_{name}")(request.get("variables") or {})}
            case "POST", ["files", _, _, run, "file_stream"]:
                return self._receive(run, json.loads(body))
            case "PUT", ["storage", *name]:
                self.storage["/".join(name)] = body
                return {}
            case "GET", ["storage", *name]:
                return self.storage["/".join(name)]
            case "POST", ["sdk", "otel", *_]:
                raise _UnmeasuredError
            case _:
                raise LookupError("unknown request")

    def _receive(self, run_id: str, message: Data) -> Data:
        """Store the history that a run streams, and its exit code at the end."""
        run = self.runs[run_id]
        history = message.get("files", {}).get("wandb-history.jsonl", {"offset": 0, "content": []})
        start = history["offset"]
        assert start <= len(run["history"])
        run["history"][start : start + len(history["content"])] = [json.loads(line) for line in history["content"]]
        if "wandb-summary.json" in message.get("files", {}):
            run["summary"] = json.loads(message["files"]["wandb-summary.json"]["content"][-1])
        if message.get("complete"):
            run["exit_code"] = message["exitcode"]
        return {"exitcode": None, "limits": {}}

    # Sweeps and their agents

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
        """Start the next run if none is running."""
        commands = []
        if not json.loads(variables["runState"]) and self._n_started < len(self._values):
            arguments = {key: {"value": value} for key, value in self._values[self._n_started].items()}
            commands.append({"type": "run", "run_id": f"run{self._n_started}", "program": "", "args": arguments})
            self._n_started += 1
        return {"agentHeartbeat": {"agent": {"id": "agent"}, "commands": json.dumps(commands)}}

    # Runs

    def _Viewer(self, variables: Data) -> Data:  # noqa: N802
        return {"viewer": {"id": "viewer", "entity": ENTITY, "username": ENTITY, "flags": "{}", "teams": {"edges": []}}}

    def _OrganizationCoreWeaveOrganizationID(self, variables: Data) -> Data:  # noqa: N802
        return {"entity": None}

    def _RunResumeStatus(self, variables: Data) -> Data:  # noqa: N802
        run = self._find_run(variables)
        bucket = run and {
            **_describe_run(variables["name"], run),
            "logLineCount": 0,
            "eventsLineCount": 0,
            "historyTail": json.dumps([json.dumps(line) for line in run["history"][-1:]]),
            "eventsTail": "[]",
            "wandbConfig": json.dumps({"t": run["config"]["_wandb"]["t"]}),
        }
        return {"model": {**_describe_project(variables["project"]), "bucket": bucket}}

    def _UpsertBucket(self, variables: Data) -> Data:  # noqa: N802
        """Create or update a run."""
        name = variables["name"] or variables["id"]
        inserted = name not in self.runs
        run = self.runs.setdefault(name, {"config": {}, "history": [], "summary": {}, "exit_code": None})
        run |= {key: variables[key] for key in _DESCRIPTION if variables.get(key) is not None}
        config = json.loads(variables.get("config") or "{}")
        run["config"] |= {key: item["value"] for key, item in config.items()}
        return {"upsertBucket": {"bucket": _describe_run(name, run), "inserted": inserted}}

    def _CreateRunFiles(self, variables: Data) -> Data:  # noqa: N802
        files = [{"name": name, "uploadUrl": self._url(variables["run"], name)} for name in variables["files"]]
        return {"createRunFiles": {"runID": variables["run"], "uploadHeaders": [], "files": files}}

    # Queries about runs

    def _GetDefaultEntity(self, variables: Data) -> Data:  # noqa: N802
        return self._Viewer(variables)

    def _Run(self, variables: Data) -> Data:  # noqa: N802
        run = self._find_run(variables)
        return {"project": run and {"run": {**_describe_run(variables["name"], run), "projectId": 1}}}

    def _Runs(self, variables: Data) -> Data:  # noqa: N802
        """Return the runs of a project, which exists if it has a run."""
        nodes = [
            {**_describe_run(name, run), "projectId": 1}
            for name, run in self.runs.items()
            if self._find_run({**variables, "name": name})
        ]
        return {"project": {"runCount": len(nodes), "runs": _list_nodes(nodes)} if nodes else None}

    def _GetProjects(self, variables: Data) -> Data:  # noqa: N802
        names = {run["project"] for run in self.runs.values()} if variables["entity"] == ENTITY else set()
        about = {"entityName": ENTITY, "createdAt": "2026-01-01", "isBenchmark": False, "user": None}
        return {"models": _list_nodes([{"id": name, "name": name, **about} for name in sorted(names)])}

    def _find_run(self, variables: Data) -> Data | None:
        run = self.runs.get(variables["name"])
        is_there = run and (variables["entity"] or ENTITY, variables["project"]) == (ENTITY, run["project"])
        return run if is_there else None

    # Artifacts

    def _ServerFeaturesQuery(self, variables: Data) -> Data:  # noqa: N802
        return {"serverInfo": {"features": []}}

    def _ArtifactType(self, variables: Data) -> Data:  # noqa: N802
        return {"project": {"artifact": None}}

    def _CreateArtifact(self, variables: Data) -> Data:  # noqa: N802
        described = variables["input"]
        name = described["artifactCollectionName"]
        earlier = [artifact for artifact in self.artifacts.values() if artifact["name"] == name]
        artifact = {
            "id": f"artifact{len(self.artifacts)}",
            "name": name,
            "version": len(earlier),
            "type": described["artifactTypeName"],
            "project": described["projectName"],
            "run": described["runName"],
            "aliases": [alias["alias"] for alias in described["aliases"]],
            "digest": described["digest"],
            "state": "PENDING",
            "files": [],
        }
        for other in earlier:
            other["aliases"] = [alias for alias in other["aliases"] if alias not in artifact["aliases"]]
        self.artifacts[artifact["id"]] = artifact
        sequence = {"id": name, "latestArtifact": {"id": earlier[-1]["id"]} if earlier else None}
        return {
            "createArtifact": {"artifact": {"id": artifact["id"], "state": "PENDING", "artifactSequence": sequence}}
        }

    def _CreateArtifactManifest(self, variables: Data) -> Data:  # noqa: N802
        url = self._url(variables["artifactID"], "manifest")
        file = {"id": "manifest", "uploadUrl": url, "uploadHeaders": []}
        return {"createArtifactManifest": {"artifactManifest": {"id": "manifest", "file": file}}}

    def _CreateArtifactFiles(self, variables: Data) -> Data:  # noqa: N802
        files = []
        for file in variables["input"]["artifactFiles"]:
            artifact = self.artifacts[file["artifactID"]]
            artifact["files"].append(file["name"])
            url = self._url(artifact["id"], "files", file["name"])
            about = {"uploadHeaders": [], "artifact": {"id": artifact["id"]}}
            files.append({"storagePath": file["name"], "uploadUrl": url, **about})
        return {"createArtifactFiles": {"files": {"edges": [{"node": file} for file in files]}}}

    def _CommitArtifact(self, variables: Data) -> Data:  # noqa: N802
        artifact = self.artifacts[variables["artifactID"]]
        artifact["state"] = "COMMITTED"
        return {"commitArtifact": {"artifact": {"id": artifact["id"], "digest": artifact["digest"]}}}

    def _RunOutputArtifacts(self, variables: Data) -> Data:  # noqa: N802
        nodes = [_describe_artifact(item) for item in self.artifacts.values() if item["run"] == variables["run"]]
        return {"project": {"run": {"artifacts": {"totalCount": len(nodes), **_list_nodes(nodes)}}}}

    def _FetchArtifactManifest(self, variables: Data) -> Data:  # noqa: N802
        url = self._url(variables["id"], "manifest")
        return {"artifact": {"currentManifest": {"file": {"directUrl": url}}}}

    def _GetArtifactMembershipFileUrls(self, variables: Data) -> Data:  # noqa: N802
        (artifact,) = (
            artifact
            for artifact in self.artifacts.values()
            if (artifact["name"], f"v{artifact['version']}") == (variables["collection"], variables["alias"])
        )
        urls = {name: self._url(artifact["id"], "files", name) for name in artifact["files"]}
        nodes = [{"__typename": "File", "name": name, "directUrl": url} for name, url in urls.items()]
        membership = {"artifactMembership": {"files": _list_nodes(nodes)}}
        return {"project": {"artifactCollection": {"__typename": "ArtifactSequence", **membership}}}

    def _url(self, *name: str) -> str:
        return "/".join((self.url, "storage", *name))


class _UnmeasuredError(Exception):
    """Telemetry of the client, which is not stored."""


class _QuietServer(ThreadingHTTPServer):
    daemon_threads = True  # an ended client leaves its connections open

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore clients that disconnect; `answer` reports any other error."""


def _describe_project(name: str) -> Data:
    return {"id": "project", "internalId": "1", "name": name, "entity": {"id": "entity", "name": ENTITY}}


def _describe_run(name: str, run: Data) -> Data:
    return {
        "id": name,
        "name": name,
        "displayName": run.get("displayName", name),
        "sweepName": run.get("sweep"),
        "config": json.dumps({key: {"value": value} for key, value in run["config"].items()}),
        "summaryMetrics": json.dumps(run["summary"]),
        "systemMetrics": "{}",
        "state": "running" if run["exit_code"] is None else "finished",
        "tags": run.get("tags", []),
        "notes": run.get("notes"),
        "project": _describe_project(run["project"]),
        "historyLineCount": len(run["history"]),
    }


def _describe_artifact(artifact: Data) -> Data:
    collection = {
        "__typename": "ArtifactSequence",
        "name": artifact["name"],
        "project": _describe_project(artifact["project"]),
    }
    return {
        "__typename": "Artifact",
        "id": artifact["id"],
        "artifactSequence": collection,
        "versionIndex": artifact["version"],
        "artifactType": {"name": artifact["type"]},
        "description": None,
        "metadata": None,
        "ttlDurationSeconds": -2,
        "ttlIsInherited": True,
        "tags": [],
        "historyStep": 0,
        "state": artifact["state"],
        "size": 0,
        "digest": artifact["digest"],
        "commitHash": None,
        "fileCount": len(artifact["files"]),
        "createdAt": "2026-01-01",
        "updatedAt": None,
        "aliases": [{"id": alias, "alias": alias, "artifactCollection": collection} for alias in artifact["aliases"]],
    }


def _list_nodes(nodes: Sequence[Mapping[str, Any]]) -> Data:
    """Return all nodes as the only page of a connection."""
    page = {"__typename": "PageInfo", "endCursor": None, "hasNextPage": False}
    return {"pageInfo": page, "edges": [{"node": node, "cursor": ""} for node in nodes]}


def _make_handler(server: WandbServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            status, answer = server.answer(self.command, self.path.partition("?")[0], body)
            content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_PUT = do_POST  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Log nothing."""

    return Handler
