"""What somebody who can edit every byte of a run directory cannot do: the promises of docs/security.md."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from frame_core import SCALAR_ENTRY, LogEntry
from frame_loggers import WandbLogger
from frame_loggers.wandb_run import WandbRun, write_wandb_run
from frame_train import load_run
from frame_train.errors import CompositionError
from frame_train.files import without_local_settings
from frame_train.runs.directory import check_entries
from wandb_server import ENTITY, WandbServer

Command = Callable[..., Any]

FILES = ("config.yaml", "overrides.yaml", "run.json", "metrics.jsonl", "report.html", ".lock")
FOLDERS = ("checkpoints", "images", "tensorboard", "wandb", ".wandb")


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """A copy of the trained run, in a folder of its own."""
    return Path(shutil.copytree(trained, tmp_path / "foreign" / "run"))


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Path]:
    """A folder of the user that must stay as it is."""
    folder = tmp_path / "outside"
    (folder / "folder").mkdir(parents=True)
    (folder / "file").write_text("of the user")
    yield folder
    assert sorted(path.name for path in folder.rglob("*")) == ["file", "folder"]
    assert (folder / "file").read_text() == "of the user"


# It writes nowhere but in the run directory.


def list_links() -> Iterator[tuple[str, str]]:
    yield from ((name, target) for name in (*FILES, "events.out.tfevents.planted") for target in ("file", "nowhere"))
    yield from ((name, target) for name in FOLDERS for target in ("folder", "nowhere"))
    yield from ((f"{name}/planted", target) for name in FOLDERS for target in ("file", "folder", "nowhere"))


@pytest.mark.parametrize(("name", "target"), list(list_links()))
def test_a_run_directory_with_a_link_is_refused(run: Path, outside: Path, name: str, target: str) -> None:
    path = run / name
    shutil.rmtree(path, ignore_errors=True)
    path.unlink(missing_ok=True)
    path.parent.mkdir(exist_ok=True)
    path.symlink_to(outside / target)
    with pytest.raises(CompositionError, match=rf"'{path}' must be a .* of the run directory, got a link. Replace or"):
        load_run(run)


@pytest.mark.parametrize("arguments", [["run={run}"], ["--diff", "{run}", "{run}"]], ids=["evaluate", "diff"])
@pytest.mark.parametrize("name", ["metrics.jsonl", "images", ".lock"])
def test_every_command_refuses_a_link(
    evaluate: Command, run: Path, outside: Path, name: str, arguments: list[str]
) -> None:
    shutil.rmtree(run / name, ignore_errors=True)
    (run / name).unlink(missing_ok=True)
    (run / name).symlink_to(outside / "nowhere")
    result = evaluate(*(argument.format(run=run) for argument in arguments))
    assert (result.code, result.output) == (2, "")
    assert "got a link" in result.errors
    assert len(result.errors.splitlines()) == 1


@pytest.mark.parametrize("resume", ["resume={run}", "resume=auto"])
def test_resume_refuses_a_link_too(train: Command, run: Path, outside: Path, tmp_path: Path, resume: str) -> None:
    arguments = ("+experiment=DIGITS_VAE", "logging=none", "trainer.max_epochs=1") if resume == "resume=auto" else ()
    place = tmp_path / "runs" / "DIGITS" / "VAE" / "1"
    shutil.copytree(run, place)
    (place / "metrics.jsonl").unlink()
    (place / "metrics.jsonl").symlink_to(outside / "file")
    result = train(resume.format(run=place), "trainer.limit_train_batches=1", *arguments)
    assert "'metrics.jsonl' must be a file of the run directory, got a link" in result.errors.replace(f"{place}/", "")


@pytest.mark.parametrize("name", ["config.yaml", "run.json", "metrics.jsonl", ".lock", "images", "checkpoints/x.ckpt"])
def test_a_pipe_is_refused_and_not_waited_for(run: Path, name: str) -> None:
    shutil.rmtree(run / name, ignore_errors=True)
    (run / name).unlink(missing_ok=True)
    os.mkfifo(run / name)
    with pytest.raises(CompositionError, match="got a pipe"):
        load_run(run)


@pytest.mark.parametrize("name", ["config.yaml", "run.json", "metrics.jsonl", ".lock"])
def test_a_folder_in_place_of_a_file_is_refused(run: Path, name: str) -> None:
    (run / name).unlink()
    (run / name).mkdir()
    with pytest.raises(CompositionError, match="must be a file of the run directory, got a folder"):
        check_entries(run)


def test_a_log_with_a_second_name_is_not_written(evaluate: Command, run: Path, outside: Path) -> None:
    (run / "metrics.jsonl").unlink()
    os.link(outside / "file", run / "metrics.jsonl")
    result = evaluate(f"run={run}", "+evaluation=elbo")
    assert result.code == 1, result
    assert "a file with a second name (a hard link) is not written" in result.errors
    assert "Traceback" not in result.errors


def test_the_links_that_wandb_makes_are_accepted(run: Path) -> None:
    logger = WandbLogger("project", "name", run)
    logger.log("a", LogEntry(SCALAR_ENTRY, 1.0))
    logger.finalize("success")
    assert {path.name for path in run.rglob("*") if path.is_symlink()} >= {"latest-run", "debug-core.log"}
    load_run(run)


@pytest.mark.parametrize("name", ["run-1", "run-1/logs", "run-1/logs/debug.log", "run-1/run-1.wandb", "cache"])
def test_another_link_in_the_folder_of_wandb_is_refused(run: Path, outside: Path, name: str) -> None:
    (run / "wandb" / name).parent.mkdir(parents=True)
    (run / "wandb" / name).symlink_to(outside / "file")
    with pytest.raises(CompositionError, match="got a link"):
        load_run(run)


def change(run: Path, **values: Any) -> None:
    """Write values into the config of a run, each under its key with dots as ``__``."""
    config = OmegaConf.load(run / "config.yaml")
    for key, value in values.items():
        OmegaConf.update(config, key.replace("__", "."), value, merge=False)
    OmegaConf.save(config, run / "config.yaml")


CSV = {"_target_": "pytorch_lightning.loggers.CSVLogger", "save_dir": "{outside}"}
LOGGERS = {
    "files": {"_target_": "frame_loggers.FileLogger", "directory": "{outside}"},
    "csv": CSV,
    "events": {"_target_": "frame_loggers.TensorBoardLogger", "directory": "{outside}"},
    "more_events": {"_target_": "frame_loggers.tensorboard.TensorBoardLogger", "_args_": ["{outside}"]},
    "nested": {"_target_": "frame_loggers.TensorBoardLogger", "directory": CSV},
}


def test_loggers_write_to_the_run_directory_and_the_others_are_named(
    evaluate: Command, run: Path, outside: Path
) -> None:
    change(run, logger=json.loads(json.dumps(LOGGERS).replace("{outside}", str(outside))))
    result = evaluate(f"run={run}", "+evaluation=elbo")
    assert result.code == 0, result
    for name, target in (("files", "frame_loggers.FileLogger"), ("csv", CSV["_target_"]), ("nested", CSV["_target_"])):
        assert f"`logger.{name}` is skipped." in result.errors
        assert f"allow=[{target}]" in result.errors
    assert len(list(run.glob("events.*"))) == 3  # that of the training, and two


def test_a_logger_that_the_caller_allows_is_built_as_the_config_says(
    evaluate: Command, run: Path, tmp_path: Path
) -> None:
    change(run, logger={"csv": {**CSV, "save_dir": str(tmp_path / "csv")}})
    result = evaluate(f"run={run}", "+evaluation=elbo", "allow=[pytorch_lightning.loggers]")
    assert (result.code, result.errors) == (0, "")


@pytest.mark.parametrize("key", ["model.encoder", "data.valid", "evaluation.elbo_train.evaluator"])
@pytest.mark.parametrize("name", ["Cityscapes", "Kitti", "Middlebury2014Stereo", "Kinetics"])
def test_no_archive_is_extracted(evaluate: Command, run: Path, outside: Path, key: str, name: str) -> None:
    data_set = {"_target_": f"torchvision.datasets.{name}", "root": "${run.directory}/d", "download": True}
    (run / "d").symlink_to(outside)  # nothing of ours
    with zipfile.ZipFile(run / "leftImg8bit_trainvaltest.zip", "w") as archive:
        archive.writestr("planted", "planted")
    change(run, **{key.replace(".", "__"): {"_target_": "torch.nn.Identity", "a": data_set}})
    result = evaluate(f"run={run}")
    assert (result.code, result.output) == (2, "")
    assert f"can't build 'torchvision.datasets.{name}' here" in result.errors or "`torch.nn.Identity`" in result.errors


# It reads nothing of this machine.


class Listener(WandbServer):
    """A server that counts what it receives."""

    n_requests = 0

    def answer(self, *request: Any) -> Any:
        self.n_requests += 1
        return super().answer(*request)


def test_the_key_of_wandb_goes_to_the_users_server_whatever_the_run_says(
    evaluate: Command, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    change(
        run, logger={"wandb": {"_target_": "frame_loggers.WandbLogger", "project": "p", "name": "n", "directory": "."}}
    )
    write_wandb_run(run, WandbRun(ENTITY, "p", "run-1"))
    with WandbServer() as server, Listener() as attacker:
        for name, value in server.make_environment(tmp_path / "home").items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("WANDB_BASE_URL")
        monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path))
        (tmp_path / "settings").write_text(f"[default]\nbase_url = {server.url}\n")
        (run / "wandb" / "settings").write_text(f"[default]\nbase_url = {attacker.url}\nentity = attacker\n")
        monkeypatch.chdir(run)
        result = evaluate("run=.", "+evaluation=elbo")
        assert result.code == 0, result
        assert attacker.n_requests == 0
    assert "the server has no run 'run-1' to resume" in caplog.text  # the user's server was asked


def test_git_executes_nothing_that_the_repository_of_a_run_names(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted = run / "planted.sh"
    planted.write_text(f"#!/bin/sh\ntouch {tmp_path / 'ran'}\n")
    planted.chmod(0o755)
    author = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (
        ["init", "-q"],
        ["add", "run.json"],
        [*author, "commit", "-qm", "a"],
        ["remote", "add", "origin", "u"],
    ):
        subprocess.run(["git", "-C", run, *command], check=True)
    (run / "run.json").write_text("{}")
    for key in ("core.fsmonitor", "diff.external"):
        subprocess.run(["git", "-C", run, "config", key, str(planted)], check=True)
    with WandbServer() as server:
        for name, value in {**server.make_environment(tmp_path / "home"), "WANDB_SAVE_CODE": "true"}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(run)
        with without_local_settings():
            logger = WandbLogger("project", "name", run)
            logger.log("a", LogEntry(SCALAR_ENTRY, 1.0))
            logger.finalize("success")
        assert len(server.runs) == 1
    assert not (tmp_path / "ran").exists()
    assert "WANDB_DISABLE_GIT" not in os.environ


@pytest.mark.slow
def test_a_style_of_plots_in_the_current_folder_is_ignored(evaluate: Command, run: Path) -> None:
    (run / "matplotlibrc").write_text("figure.figsize: 1, 1\n")
    script = "import sys; sys.argv[1:] = ['--diff', '.', '.']\n"
    script += "from frame_train.commands.evaluate import main\ntry: main()\nexcept SystemExit: pass\n"
    script += "import matplotlib; print(matplotlib.rcParams['figure.figsize'])"
    result = subprocess.run([sys.executable, "-c", script], cwd=run, capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "[6.4, 4.8]"


# What it says reaches the terminal as text.

NAMES = ("\x1b[2J", "\x9b2J", "\x1b]0;title\x07", "\u202e", "\r", "[red]", "\ud800")


def test_names_reach_the_terminal_as_text(evaluate: Command, run: Path) -> None:
    with (run / "metrics.jsonl").open("a") as log:
        log.write(json.dumps(dict.fromkeys(NAMES, 0.5)) + "\n")
    change(run, params__planted={name: name for name in NAMES if name != "\ud800"})
    description = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**description, "platform": "\x1b[2J", "git": {"\x1b[2J": "\x1b[2J"}}))
    other = shutil.copytree(run, run.with_name("other"))
    (other / "metrics.jsonl").unlink()
    (other / "config.yaml").write_text("a: 1")
    (other / "run.json").write_text("{}")
    result = evaluate("--diff", str(run), str(other))
    assert result.code == 0, result
    for text in (result.output, result.errors):
        assert all(character.isprintable() or character == "\n" for character in text), result
    assert "\\x1b[2J" in result.output
    assert "[red]" in result.output


@pytest.mark.parametrize("name", NAMES[:4])
def test_an_error_message_reaches_the_terminal_as_text(evaluate: Command, run: Path, name: str) -> None:
    change(run, evaluation={name: {"_target_": "os.system"}})
    result = evaluate(f"run={run}")
    assert result.code == 2, result
    assert all(character.isprintable() or character == "\n" for character in result.errors), result
    assert repr(name)[1:-1] in result.errors
