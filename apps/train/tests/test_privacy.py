"""File modes, environment values, names that leave their folder, and foreign checkpoints."""

import json
import os
import shutil
import stat
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

from doubles import Planted
from frame_core import IMAGE_ENTRY, SCALAR_ENTRY, LogEntry
from frame_eval import ImageSampleEvaluation
from frame_loggers import FileLogger, TensorBoardLogger, WandbLogger
from frame_train import load_run
from frame_train.callbacks import BestCheckpoint, EvaluationCallback
from frame_train.composition.settings import recorded_environment, resolve_without_environment
from frame_train.errors import CompositionError
from frame_train.runs.checkpoint_files import write_checkpoint
from frame_train.runs.directory import make_run_directory
from processes import Commands, ForkServer
from runs import SMALL_VAE, TWO_STEPS

Train = Callable[..., Any]
RUN = (*SMALL_VAE, *TWO_STEPS)


def log_image(name: str, directory: Path) -> None:
    logger = WandbLogger("project", "name", directory)
    logger.log(name, LogEntry(IMAGE_ENTRY, torch.zeros(1, 4, 4)), 1)
    logger.finalize("success")


# File modes


@pytest.mark.parametrize("umask", [0o022, 0o027, 0o077], ids=oct)
def test_the_umask_determines_the_mode_of_every_file_of_a_run(train: Train, tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        result = train(*RUN, "logging=tensorboard", "callbacks/checkpoint@callbacks=[last,best]")
    finally:
        os.umask(before)
    assert result.code == 0, result
    written = [tmp_path / "runs", *(tmp_path / "runs").rglob("*")]
    assert {"config.yaml", "run.json", "metrics.jsonl", "report.html", "last.ckpt"} <= {path.name for path in written}
    for path in written:
        assert stat.S_IMODE(path.stat().st_mode) == (0o777 if path.is_dir() else 0o666) & ~umask, path


def test_files_of_wandb_are_not_more_open_than_the_umask_allows(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        log_image("Samples", tmp_path)
    finally:
        os.umask(before)
    for path in (tmp_path / "wandb").rglob("*"):
        assert stat.S_IMODE(path.lstat().st_mode) & 0o077 == 0 or path.is_symlink(), path


# Environment values

SECRETS = {
    "WANDB_API_KEY": "c0ffee" * 6 + "beef",
    "HF_TOKEN": "hf_do-not-show-this",
    "AWS_SECRET_ACCESS_KEY": "aws/do+not+show+this",
    "OWN_TOKEN": "own-do-not-show-this",
}
SECRETIVE = (
    "+params.token=${oc.env:OWN_TOKEN}",
    "+params.address=https://me:${oc.env:OWN_TOKEN}@somewhere",
    "+params.reference=${params.token}",
    "+params.text=of ${params.token}",
    "+params.whole=${params.nested}",
    "+params.nested.inner=[${oc.env:HF_TOKEN}]",
)
FAILING = '''
from frame_core import Evaluation


class Failing(Evaluation):
    """Raises."""

    def evaluate(self, optimization):
        raise RuntimeError("an evaluation that fails")
'''


def find_secrets(content: bytes) -> list[str]:
    return [name for name, value in SECRETS.items() if value.encode() in content]


def iterate_contents(root: Path) -> Iterator[tuple[str, bytes]]:
    """Iterate over the names and contents of all files below a folder, including those in archives."""
    for path in root.rglob("*"):
        yield str(path), str(path).encode()
        if path.is_file():
            yield str(path), path.read_bytes()
            if zipfile.is_zipfile(path):
                with zipfile.ZipFile(path) as archive:
                    yield from ((f"{path}:{name}", archive.read(name)) for name in archive.namelist())


@pytest.fixture(scope="module")
def secretive(fork_server: ForkServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of runs with secrets in their environment, and of their output."""
    folder = tmp_path_factory.mktemp("secretive")
    (folder / "failing.py").write_text(FAILING)
    failing = "+evaluation.failing={_target_:frame_train.callbacks.EvaluationCallback,name:Failing,"
    failing += "evaluate_every:1 epoch,on_error:continue,evaluator:{_target_:failing.Failing}}"
    arguments = (*RUN, *SECRETIVE, f"device.experiments_root={folder / 'runs'}")
    commands = Commands(fork_server, folder, SECRETS)
    for logging in ("wandb", "tensorboard"):
        command = commands.run(*arguments, f"logging={logging}", failing, WANDB_MODE="offline")
        assert command.code == 0, command.output
    command = commands.run("-m", *arguments, "logging=none", "seed=1,2")
    assert command.code == 0, command.output
    command = commands.run(*arguments, "logging=none", "+params.lr=${params.token}")
    assert command.code == 2, command.output
    assert "got '${oc.env:OWN_TOKEN}'" in command.output
    return folder


@pytest.mark.slow
def test_no_file_and_no_output_contains_a_credential_of_the_environment(secretive: Path) -> None:
    names = {Path(name).name for name, _ in iterate_contents(secretive)}
    assert {"config.yaml", "overrides.yaml", "report.html", "last.ckpt", "multirun.yaml", "output-1.txt"} <= names
    assert any(name.endswith(".wandb") for name in names)
    assert any("tfevents" in name for name in names)
    assert {name: found for name, content in iterate_contents(secretive) if (found := find_secrets(content))} == {}


def test_a_message_hides_environment_values_except_paths_and_the_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variables = {"OWN_TOKEN": "own-do-not-show-this", "DEVICE_NAME": "workstation", "OWN_FOLDER": str(tmp_path)}
    with recorded_environment() as record:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
            assert OmegaConf.create({"key": f"${{oc.env:{name}}}"}).key == value
    text = f"`key` is 'own-do-not-show-this', in workstation.yaml and {tmp_path}"
    assert record.hide(text) == f"`key` is '${{oc.env:OWN_TOKEN}}', in workstation.yaml and {tmp_path}"


REFERENCES = (
    "${oc.env:OWN_TOKEN}",
    "${ oc.env:OWN_TOKEN }",
    "https://me:${oc.env:OWN_TOKEN}@somewhere",
    "\\${oc.env:OWN_TOKEN} ${oc.env:OWN_TOKEN}",
    "${params.token}",
    "of ${params.token}",
    "${params.nested}",
    "${params.nested.inner.0}",
    "${oc.select:params.token}",
    "${oc.decode:${params.token}}",
    "${oc.dict.values:params.nested}",
    "${oc.create:${params.nested}}",
    "${${params.resolver}:OWN_TOKEN}",
)


@pytest.mark.parametrize("reference", REFERENCES)
def test_a_config_is_resolved_without_environment_values(reference: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OWN_TOKEN", SECRETS["OWN_TOKEN"])
    token = "${oc.env:OWN_TOKEN}"
    params = {"token": token, "nested": {"inner": [token]}, "resolver": "oc.env", "n": 3, "same": "${.n}"}
    config = OmegaConf.create({"params": params, "key": reference})
    assert SECRETS["OWN_TOKEN"] in str(OmegaConf.to_container(config, resolve=True))
    resolved = resolve_without_environment(config)
    assert SECRETS["OWN_TOKEN"] not in str(resolved)
    assert resolved["params"] == {**params, "same": 3}


NAMES = (
    "run.name=${oc.env:OWN_TOKEN}",
    "run.project=of-${oc.env:OWN_TOKEN}",
    "run.name=${params.token}",
    "evaluation.elbo_train.name=${oc.env:OWN_TOKEN}",
    "+callbacks.best_checkpoint.filename=${oc.env:OWN_TOKEN}",
    "+logger.wandb.name=${oc.env:OWN_TOKEN}",
)


@pytest.mark.parametrize("override", NAMES)
def test_a_name_from_the_environment_is_refused(
    train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, override: str
) -> None:
    monkeypatch.setenv("OWN_TOKEN", SECRETS["OWN_TOKEN"])
    result = train(*RUN, "logging=none", "+params.token=${oc.env:OWN_TOKEN}", override)
    key = override.lstrip("+").partition("=")[0]
    assert (result.code, result.output) == (2, "")
    assert f"`{key}` must not take its value from the environment" in result.errors
    assert find_secrets(result.errors.encode()) == []
    assert list_files(tmp_path) == set()


# Names that leave their folder

LEAVING = ("../" * 12 + "evil", "/evil", "~/evil", "..")
UNFIT = ("a\0b", "x" * 300)


def list_files(root: Path) -> set[Path]:
    return {path.relative_to(root) for path in root.rglob("*")}


@pytest.mark.parametrize("key", ["run.name", "run.project"])
@pytest.mark.parametrize("name", [*LEAVING, *UNFIT])
def test_a_run_name_that_leaves_its_folder_is_refused(tmp_path: Path, key: str, name: str) -> None:
    names = {"project": "project", "name": "name", key.removeprefix("run."): name}
    config = OmegaConf.create({"run": names, "device": {"experiments_root": str(tmp_path / "runs")}})
    with pytest.raises(CompositionError, match=rf"`{key}` must be the name of a folder"):
        make_run_directory(config).__enter__()
    assert list_files(tmp_path) == set()


@pytest.mark.parametrize("name", [*LEAVING, *UNFIT])
def test_a_checkpoint_name_that_leaves_its_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="`filename` must be a file name"):
        BestCheckpoint(str(tmp_path), "ELBO", filename=name)


@pytest.mark.parametrize("name", LEAVING)
def test_an_entry_of_any_name_stays_in_the_run_directory(tmp_path: Path, name: str) -> None:
    directory = tmp_path / "a" / "b" / "run"
    image, number = LogEntry(IMAGE_ENTRY, torch.zeros(1, 4, 4)), LogEntry(SCALAR_ENTRY, 1.0)
    for logger in (FileLogger(directory), TensorBoardLogger(directory), WandbLogger("project", "name", directory)):
        for entry_name, entry in ((name, image), (f"{name}/number", number)):
            logger.log(entry_name, entry, 1)
        logger.finalize("success")
    assert {path.parts[:3] for path in list_files(tmp_path) if len(path.parts) > 3} == {("a", "b", "run")}
    assert list_files(tmp_path / "a" / "b") >= {Path("run/metrics.jsonl")}
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["run"]
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("name", UNFIT)
def test_an_evaluation_name_that_cannot_be_a_file_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="`name` must be printable, of at most 100 characters"):
        EvaluationCallback(name, "1 epoch", ImageSampleEvaluation(1))


# Foreign checkpoints


@pytest.fixture
def planted(trained: Path, tmp_path: Path) -> Path:
    """Return an unfinished foreign run with a manifest that fits its checkpoint."""
    directory = shutil.copytree(trained, tmp_path / "planted")
    content = {"state_dict": {}, "global_step": 4, "more": Planted(tmp_path / "ran")}
    for path in (directory / "checkpoints").glob("*.ckpt"):
        write_checkpoint(path, 4, True, lambda file: torch.save(content, file))
    description = json.loads((directory / "run.json").read_text())
    (directory / "run.json").write_text(json.dumps({**description, "complete": False}))
    return directory


def test_resuming_from_a_foreign_checkpoint_executes_nothing(train: Train, planted: Path) -> None:
    result = train(f"resume={planted}")
    assert result.code == 2, result
    assert "is not a readable checkpoint" in result.errors
    assert len(result.errors.splitlines()) == 1
    assert not (planted.parent / "ran").exists()


def test_evaluating_a_foreign_checkpoint_executes_nothing(evaluate: Train, planted: Path) -> None:
    result = evaluate(f"run={planted}")
    assert result.code == 2, result
    assert "is not a readable checkpoint" in result.errors
    assert len(result.errors.splitlines()) == 1
    assert not (planted.parent / "ran").exists()


def test_loading_a_foreign_checkpoint_executes_nothing(planted: Path) -> None:
    with pytest.raises(CompositionError, match="is not a readable checkpoint"):
        load_run(planted)
    assert not (planted.parent / "ran").exists()
