import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import pytest

from frame_core import SCALAR_ENTRY, LogEntry
from frame_loggers import FileLogger, WandbLogger
from frame_loggers.wandb_run import WandbRun, read_wandb_run
from frame_train.errors import CompositionError
from frame_train.runs import wandb as remote
from frame_train.runs.wandb import download_run
from processes import Commands, ForkServer
from wandb_server import WandbServer

TRAIN = [
    *("+experiment=DIGITS_VAE", "logging=wandb", "trainer.max_epochs=1", "trainer.limit_train_batches=2"),
    *("callbacks/checkpoint@callbacks=[last,best,periodic]", "+params.token=${oc.env:PLANTED_SECRET}"),
    *("run.display_name=VAE", "run.group=mine", "run.job_type=try", "run.tags=[a,b]", "run.notes=a note"),
    "callbacks.training_log.log_every=1 iterations",
]
SECRET = "do-not-show-this"

ELSEWHERE = """
import sys
from pathlib import Path
from frame_core import SCALAR_ENTRY, LogEntry
from frame_loggers import WandbLogger
from frame_loggers.wandb_run import read_wandb_run
from frame_train import load_run
from frame_train.composition import settings

settings.workspace = Path.cwd  # as if the package were installed outside the repository
run = load_run(sys.argv[1])
assert run.global_step == 2 and not run.model.training
directory = run.directory
logger = WandbLogger("project", "name", directory, run_id=read_wandb_run(directory).id)
logger.log("Later", LogEntry(SCALAR_ENTRY, 0.5), global_step=1)
logger.log_checkpoint(directory / "checkpoints" / "last.ckpt", "last")
logger.finalize("success")
"""


class Trained(NamedTuple):
    """A run on the server, and its directory on the machine that trained it."""

    server: Any
    path: str
    directory: Path
    output: str

    @property
    def run(self) -> dict[str, Any]:
        return self.server.runs[self.path.rpartition("/")[2]]


Run = Callable[..., str]


@pytest.fixture(scope="module")
def run_elsewhere(fork_server: ForkServer) -> Run:
    """Run a command as on another machine: in its own folder, with an empty home."""

    def run(server: WandbServer, place: Path, *arguments: str, **options: str) -> str:
        (place / "home").mkdir(parents=True)
        environment = server.make_environment(place / "home") | {"MPLCONFIGDIR": matplotlib.get_cachedir()}
        command = Commands(fork_server, place, environment).run(*arguments, **options)
        assert command.code == 0, command.output
        assert not any((place / "home").iterdir()), "something was written to the home directory"
        return command.output

    return run


@pytest.fixture(scope="module")
def trained(run_elsewhere: Run, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trained]:
    """Train two steps in another process, logged to a stand-in for W&B."""
    place = tmp_path_factory.mktemp("trained")
    with WandbServer() as server:
        experiments_root = f"device.experiments_root={place / 'runs'}"
        output = run_elsewhere(server, place, *TRAIN, experiments_root, PLANTED_SECRET=SECRET)
        (run_id,) = server.runs
        (directory,) = (place / "runs" / "DIGITS" / "VAE").iterdir()
        yield Trained(server, f"somebody/DIGITS/{run_id}", directory, output)
    assert server.problems == []


@pytest.fixture(scope="module")
def elsewhere(trained: Trained, run_elsewhere: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Load the run in a plain script on another machine, log one more entry and checkpoint, and return the folder."""
    place = tmp_path_factory.mktemp("elsewhere")
    (place / "elsewhere.py").write_text(ELSEWHERE)
    assert run_elsewhere(trained.server, place, trained.path, program=str(place / "elsewhere.py")) == ""
    return place


@pytest.fixture
def here(trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make the stand-in the only server of this process, and return a folder for downloads."""
    for name, value in trained.server.make_environment(tmp_path / "home").items():
        monkeypatch.setenv(name, value)
    for name in ("WANDB_MODE", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "downloads"


def test_a_run_loaded_by_a_plain_script_has_the_files_of_the_run_directory(trained: Trained, elsewhere: Path) -> None:
    (downloaded,) = (elsewhere / "runs" / "downloaded" / "somebody" / "DIGITS").iterdir()
    assert downloaded.name == f"{trained.path.rpartition('/')[2]}-last-v0"
    names = ("config.yaml", "overrides.yaml", "metrics.jsonl", "checkpoints/last.ckpt")
    for name in names:
        assert (downloaded / name).read_bytes() == (trained.directory / name).read_bytes(), name
    description = json.loads((trained.directory / "run.json").read_text())
    for name in ("complete", "ended", "last", "best"):  # written after everything is uploaded
        assert description.pop(name)
    assert json.loads((downloaded / "run.json").read_text()) == description
    files = {path.relative_to(downloaded).as_posix() for path in downloaded.rglob("*") if path.is_file()}
    assert {file for file in files if not file.startswith("wandb/")} == {*names, "run.json"}
    assert read_wandb_run(downloaded) == read_wandb_run(trained.directory)


def test_the_page_of_a_run_has_its_description_and_what_was_printed(trained: Trained) -> None:
    description = {"displayName": "VAE", "groupName": "mine", "jobType": "try", "tags": ["a", "b"], "notes": "a note"}
    assert {key: trained.run[key] for key in description} == description
    output = trained.server.storage[f"{trained.path.rpartition('/')[2]}/output.log"].decode()
    assert "epoch 1/1: 100%" in output


def test_the_address_of_the_page_is_printed_and_stored(trained: Trained) -> None:
    entity, project, run_id = trained.path.split("/")
    url = f"{trained.server.url}/{entity}/{project}/runs/{run_id}"
    assert [line for line in trained.output.splitlines() if line == f"W&B: {url}"] == [f"W&B: {url}"] * 2
    assert read_wandb_run(trained.directory) == WandbRun(entity, project, run_id, url)


def test_the_best_value_stays_in_the_summary_of_a_resumed_run(trained: Trained, here: Path) -> None:
    for values in ([1.0, 3.0], [2.0]):
        run = read_wandb_run(here)
        wandb_logger = WandbLogger("project", "name", here, run.id if run else None, monitor="A/B")
        loggers = (FileLogger(here), wandb_logger)
        for value in values:
            for logger in loggers:
                logger.log("A/B", LogEntry(SCALAR_ENTRY, value))
        wandb_logger.finalize("success")
    run = read_wandb_run(here)
    assert run is not None
    summary = trained.server.runs.pop(run.id)["summary"]
    assert (summary["A/B"], summary["best/A/B"]) == (2, 3)


def test_environment_values_are_not_uploaded(trained: Trained) -> None:
    assert b"${oc.env:PLANTED_SECRET}" in b"".join(trained.server.storage.values())
    assert SECRET.encode() not in b"".join(trained.server.storage.values())
    assert SECRET not in json.dumps(trained.server.runs)


@pytest.mark.usefixtures("elsewhere")
def test_a_run_continued_on_another_machine_has_every_entry_in_order(trained: Trained) -> None:
    assert list(trained.server.runs) == [trained.path.rpartition("/")[2]]
    assert [entry["_step"] for entry in trained.run["history"]] == list(range(len(trained.run["history"])))
    assert [entry["trainer/global_step"] for entry in trained.run["history"][-2:]] == [2, 1]
    assert trained.run["history"][-1]["Later"] == 0.5
    assert trained.run["config"]["params"]["token"] == "${oc.env:PLANTED_SECRET}"
    assert trained.run["displayName"] == "VAE"


def log_scalar(logger: WandbLogger, global_step: int) -> None:
    logger.log("Value", LogEntry(SCALAR_ENTRY, float(global_step)), global_step=global_step)
    logger.finalize("success")


def test_an_offline_run_is_continued_offline_and_uploaded_by_the_printed_command(
    trained: Trained, here: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    server = trained.server
    monkeypatch.setenv("WANDB_MODE", "offline")
    log_scalar(WandbLogger("project", "name", here), 10)
    run = read_wandb_run(here)
    assert run is not None
    log_scalar(WandbLogger("another", "name", here, run.id), 5)
    monkeypatch.setenv("WANDB_MODE", "online")
    log_scalar(WandbLogger("another", "name", here, run.id), 7)
    message = [record.getMessage() for record in caplog.records if record.name == "frame_loggers"][-1]
    assert f"the server has no run '{run.id}' to resume" in message
    assert run.id not in server.runs

    (command,) = re.findall(r"`(?:uv run )?wandb (sync .*)` to upload", message)
    subprocess.run([sys.executable, "-m", "wandb", *shlex.split(command)], check=True, capture_output=True)
    uploaded = server.runs.pop(run.id)
    assert [entry["trainer/global_step"] for entry in uploaded["history"]] == [10, 5, 7]
    assert [entry["_step"] for entry in uploaded["history"]] == [0, 1, 2]
    assert (uploaded["project"], uploaded["displayName"]) == ("project", "name")


@pytest.mark.usefixtures("elsewhere")
def test_the_newest_version_is_downloaded_and_an_existing_copy_is_kept(trained: Trained, here: Path) -> None:
    newest = download_run(trained.path, "last", here)
    assert newest.name.endswith("-last-v1")
    (newest / "metrics.jsonl").write_text("what was logged since")
    assert download_run(trained.path, "last", here) == newest
    assert (newest / "metrics.jsonl").read_text() == "what was logged since"


def replace_part(path: str, index: int, part: str) -> str:
    parts = path.split("/")
    parts[index] = part
    return "/".join(parts)


@pytest.mark.parametrize(
    ("make_path", "weights", "messages"),
    [
        (lambda path: "DIGITS/abc", "best", ["`entity/project/run_id`", "'DIGITS/abc'"]),
        (
            lambda path: replace_part(path, 0, "someone"),
            "best",
            ["no project of 'someone'", "Did you mean `somebody`?"],
        ),
        (lambda path: replace_part(path, 1, "DIGIT"), "best", ["no project 'DIGIT'", "Did you mean `DIGITS`?"]),
        (lambda path: path[:-1], "best", ["somebody/DIGITS has no run", "(VAE)", "Did you mean `"]),
        (lambda path: replace_part(path, 2, "VAE"), "best", ["no run 'VAE'", "'VAE' is the name of run `"]),
        (lambda path: path, "bset", ["'bset'", "'best'", "'last'", "'step-00000002'", "Did you mean `best`?"]),
    ],
    ids=["path", "entity", "project", "run", "run's name", "weights"],
)
def test_anything_missing_is_reported_with_the_nearest_name(
    make_path: Callable[[str], str], weights: str, messages: list[str], trained: Trained, here: Path
) -> None:
    with pytest.raises(CompositionError) as error:
        download_run(make_path(trained.path), weights, here)
    for message in messages:
        assert message in str(error.value)
    assert len(str(error.value).splitlines()) == 1
    assert not here.exists()


def test_an_artifact_of_an_older_version_is_refused(
    trained: Trained, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (manifest,) = get_storage(trained, "best", "manifest")
    content = json.loads(trained.server.storage[manifest])
    del content["contents"]["config.yaml"]
    monkeypatch.setitem(trained.server.storage, manifest, json.dumps(content).encode())
    with pytest.raises(CompositionError, match=r"-best:v0' has no `config.yaml`: .* `wandb artifact get somebody/"):
        download_run(trained.path, "best", here)
    assert not here.exists()


def test_a_damaged_file_is_reported_and_the_download_is_removed(
    trained: Trained, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (checkpoint,) = get_storage(trained, "best", "files/checkpoint.ckpt")
    monkeypatch.setitem(trained.server.storage, checkpoint, trained.server.storage[checkpoint][:-1])
    with pytest.raises(
        CompositionError, match=r"can't be downloaded from W&B to .*: Digest mismatch for file: checkpoint.ckpt"
    ):
        download_run(trained.path, "best", here)
    assert not here.exists()


@pytest.mark.parametrize("name", ["../../../../evil", "/tmp/evil", "folder/../../evil"])
def test_an_artifact_with_files_outside_its_folder_is_refused(
    trained: Trained, here: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (manifest,) = get_storage(trained, "best", "manifest")
    content = json.loads(trained.server.storage[manifest])
    content["contents"][name] = content["contents"]["run.json"]
    monkeypatch.setitem(trained.server.storage, manifest, json.dumps(content).encode())
    with pytest.raises(CompositionError, match=r"is not downloaded: its file '.*evil' would be outside"):
        download_run(trained.path, "best", here)
    assert not here.exists()


@pytest.mark.parametrize("path", ["../../evil", "somebody/../evil", "somebody/DIGITS/.."])
def test_a_run_path_outside_the_download_folder_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(CompositionError, match="must be named as `entity/project/run_id`"):
        download_run(path, "best", tmp_path / "downloads")
    assert not (tmp_path / "downloads").exists()


def get_storage(trained: Trained, weights: str, name: str) -> list[str]:
    """Return the storage keys of a file in the artifacts of some weights."""
    artifacts = trained.server.artifacts.values()
    return [f"{artifact['id']}/{name}" for artifact in artifacts if artifact["name"].endswith(f"-{weights}")]


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("WANDB_API_KEY", "", r"no credentials for W&B at http://.*\. `wandb login` stores them"),
        ("WANDB_API_KEY", "short", r"W&B refuses the credentials: .*`wandb login --relogin`"),
        ("WANDB_MODE", "offline", r"mode must be 'online' .*, got 'offline'"),
        ("WANDB_MODE", "nonsense", r"`WANDB_MODE` must be one of .*, got 'nonsense'"),
        ("WANDB_BASE_URL", "http://127.0.0.1:9", r"W&B at http://127.0.0.1:9 did not answer within 0.2 seconds"),
    ],
)
def test_an_unreachable_server_and_unusable_credentials_are_reported(
    variable: str,
    value: str,
    said: str,
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(remote, "TIMEOUT", 0.2)
    monkeypatch.setenv(variable, value)
    with pytest.raises(CompositionError, match=said) as error:
        download_run("somebody/DIGITS/run", "best", here)
    assert len(str(error.value).splitlines()) == 1
    assert capfd.readouterr() == ("", "")
    assert not here.exists()


def test_evaluate_reproduces_the_metrics_on_another_machine_and_appends_them_to_the_run(
    trained: Trained, run_elsewhere: Run, tmp_path: Path
) -> None:
    n_before = len(trained.run["history"])
    place = tmp_path / "machine"
    run_elsewhere(trained.server, place, f"run={trained.path}", "device.experiments_root=runs", program="evaluate")
    lines = [json.loads(line) for line in (trained.directory / "metrics.jsonl").read_text().splitlines()]
    at_the_end = {name: line[name] for line in lines for name in line if name.startswith("ELBO/")}
    assert set(at_the_end) == {"ELBO/Validation", "ELBO/Train"}
    new = trained.run["history"][n_before:]
    assert {name: entry[name] for entry in new for name in entry if name.startswith("ELBO/")} == at_the_end
    assert {entry["trainer/global_step"] for entry in new} == {2}
    assert list((tmp_path / "machine" / "runs" / "downloaded").rglob("report.html"))
