import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image

from frame_core import (
    HISTOGRAM_ENTRY,
    IMAGE_ENTRY,
    PLOT_ENTRY,
    SCALAR_ENTRY,
    SCALARS_ENTRY,
    TABLE_ENTRY,
    TEXT_ENTRY,
    LogEntry,
)
from frame_loggers import WandbLogger
from frame_loggers.wandb_run import WandbRun, read_wandb_run

Read = Callable[[Path], list[dict[str, Any]]]
SCALAR = LogEntry(SCALAR_ENTRY, 1.0)


def get_history(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [record["history"]["item"] for record in records if record["type"] == "history"]


def get_messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "frame_loggers"]


def get_offline_runs(directory: Path) -> list[Path]:
    return sorted(directory.glob("wandb/offline-run-*"))


def test_every_type_is_logged(tmp_path: Path, figure: Figure, read_wandb: Read) -> None:
    figure.set_facecolor("red")
    logger = WandbLogger(project="project", name="run", directory=tmp_path)
    logger.log("Gray", LogEntry(IMAGE_ENTRY, torch.full((1, 1, 3), 0.5)), 5, {"iteration": 7})
    logger.log("RGB", LogEntry(IMAGE_ENTRY, torch.full((3, 1, 3), 0.5)))
    logger.log("Plot", LogEntry(PLOT_ENTRY, figure))
    logger.log("Weights", LogEntry(HISTOGRAM_ENTRY, torch.tensor([0.0, 1.0, 1.0, math.nan])))
    logger.log("Text", LogEntry(TEXT_ENTRY, "<b>\ntext"))
    logger.log("Table", LogEntry(TABLE_ENTRY, {"x": [1, 2.5], "mixed": [1, "a"], "none": [None, math.nan]}))
    logger.finalize("success")
    gray, rgb, plot, weights, text, table = get_history(read_wandb(tmp_path))
    (run,) = get_offline_runs(tmp_path)
    assert (gray["trainer/global_step"], gray["counters/iteration"]) == (5, 7)
    assert (gray["Gray.width"], gray["Gray.height"]) == (510, 170), "a small image must be an integer factor larger"
    assert Image.open(run / "files" / gray["Gray.path"]).getpixel((2, 0)) == 128
    assert Image.open(run / "files" / rgb["RGB.path"]).getpixel((2, 0)) == (128, 128, 128)
    assert Image.open(run / "files" / plot["Plot.path"]).getpixel((0, 0)) == (255, 0, 0, 255)
    assert (weights["Weights.values"][0], weights["Weights.values"][-1]) == (1, 2)
    assert "&lt;b&gt;\ntext" in (run / "files" / text["Text.path"]).read_text()
    assert (table["Table.nrows"], table["Table.ncols"]) == (2, 3)
    assert list(tmp_path.glob("wandb/artifacts/staging/*")), "the staged table is missing, which an upload needs"


def test_a_nested_config_is_logged(tmp_path: Path, read_wandb: Read) -> None:
    logger = WandbLogger(project="project", name="run", directory=tmp_path)
    logger.log_hyperparams({"params": {"beta": 0.5, "layers": [1, 2], "none": None}, "seed": 1})
    logger.finalize("success")
    configs = [record["config"]["update"] for record in read_wandb(tmp_path) if record["type"] == "config"]
    assert {key: value for config in configs for key, value in config.items()} == {
        "params": {"beta": 0.5, "layers": [1, 2], "none": None},
        "seed": 1,
    }


def test_a_checkpoint_is_an_artifact_when_offline(tmp_path: Path, read_wandb: Read) -> None:
    logger = WandbLogger("project", "name", tmp_path)
    checkpoint = tmp_path / "best.ckpt"
    checkpoint.write_bytes(b"weights")
    (tmp_path / "config.yaml").write_text("seed: 10")
    logger.log_checkpoint(checkpoint, "best")
    run_id = logger.version
    logger.finalize("success")
    (artifact,) = (record for record in map(str, read_wandb(tmp_path)) if "checkpoint.ckpt" in record)
    assert f"checkpoint-{run_id}-best" in artifact
    assert "config.yaml" in artifact
    assert "overrides.yaml" not in artifact, "the run directory has no such file"
    assert [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path.stat().st_size == 7] == [
        b"weights",
        b"weights",  # the staged copy: a better checkpoint may overwrite the file
    ]


def test_without_credentials_a_one_line_warning_names_the_commands_to_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    logger = WandbLogger(project="project", name="run", directory=tmp_path / "a b")
    logger.log("Loss", SCALAR, global_step=1)
    logger.finalize("success")
    (run,) = get_offline_runs(tmp_path / "a b")
    assert get_messages(caplog) == [
        "W&B: there are no credentials, so this run is logged offline; "
        f"run `wandb login` to log in, `wandb sync '{run}'` to upload the run."
    ]
    assert capfd.readouterr() == ("", "")


def test_the_named_commands_start_with_uv_run_under_uv(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("UV", "uv")  # as `uv run` sets it
    logger = WandbLogger("project", "name", tmp_path)
    logger.log_hyperparams({})
    logger.finalize("success")
    (message,) = get_messages(caplog)
    assert "`uv run wandb login`" in message
    assert "`uv run wandb sync " in message


@pytest.mark.parametrize("mode", ["", "nonsense"])
def test_an_unknown_mode_is_refused_and_an_empty_one_counts_as_unset(
    mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", mode)
    if mode:
        with pytest.raises(ValueError, match=r"`WANDB_MODE` must be one of online, offline, .*, got 'nonsense'"):
            WandbLogger("project", "name", tmp_path)
    else:
        WandbLogger("project", "name", tmp_path).finalize("success")
    assert list(tmp_path.iterdir()) == []


def test_a_run_has_its_description_its_best_value_and_the_duration_of_its_evaluations(
    tmp_path: Path, read_wandb: Read
) -> None:
    description: dict[str, Any] = {"job_type": "train", "tags": ["first", "large"], "notes": "a note"}
    logger = WandbLogger("project", "name", tmp_path, group="grid", monitor="A/B", monitor_mode="min", **description)
    for step, value in enumerate((2.0, 1.0, 3.0)):
        logger.log("A/B", LogEntry(SCALAR_ENTRY, value, seconds=0.5), step)
    logger.log("C", LogEntry(SCALARS_ENTRY, {"x": 1.0, "y": 2.0}, seconds=0.25), 2)
    logger.finalize("success")
    records = read_wandb(tmp_path)
    (run,) = (record["run"] for record in records if record["type"] == "run")
    assert run.items() >= {"display_name": "name", "run_group": "grid", **description}.items()
    updates = [record["summary"]["update"] for record in records if record["type"] == "summary"]
    summary = {key: value for update in updates for key, value in update.items()}
    assert (summary["A/B"], summary["best/A/B"]) == (3, 1)
    first, *_, last = get_history(records)
    assert (first["seconds/A/B"], last["seconds/C"]) == (0.5, 0.25)


@pytest.mark.parametrize("tags", [["x" * 65], ["a", ""]])
def test_tags_that_wandb_refuses_are_refused_before_anything_is_written(tags: list[str], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"`tags` must be texts of 1 to 64 characters, got '"):
        WandbLogger("project", "name", tmp_path / "run", tags=tags)
    assert list(tmp_path.iterdir()) == []


def test_offline_mode_is_respected_despite_credentials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
    logger = WandbLogger(project="project", name="run", directory=tmp_path)
    logger.log("Loss", SCALAR, global_step=1)
    logger.finalize("success")
    assert len(get_offline_runs(tmp_path)) == 1
    (run,) = get_offline_runs(tmp_path)
    assert get_messages(caplog) == [f"W&B: this run is logged offline; run `wandb sync {run}` to upload it."]


def test_disabled_mode_is_respected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, figure: Figure
) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    logger = WandbLogger(project="project", name="run", directory=tmp_path)
    logger.log("Loss", SCALAR, global_step=1, counters={"iteration": 1})
    logger.log("Plot", LogEntry(PLOT_ENTRY, figure), global_step=1)
    logger.log_hyperparams({"a": {"b": None}})
    logger.finalize("success")
    assert list(tmp_path.iterdir()) == []
    assert get_messages(caplog) == []


def test_malformed_credentials_are_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "short")
    with pytest.raises(ValueError, match="WANDB_API_KEY invalid") as error:
        WandbLogger(project="project", name="run", directory=tmp_path / "run")
    assert len(str(error.value).splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


def test_a_run_is_logged_offline_if_the_server_is_unreachable(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("frame_loggers.wandb.INIT_TIMEOUT", 0.5)
    monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")  # the discard port: nothing listens
    logger = WandbLogger(project="project", name="run", directory=tmp_path)
    logger.log("Loss", SCALAR, global_step=1)
    logger.finalize("success")
    assert len(get_offline_runs(tmp_path)) == 1
    (message,) = get_messages(caplog)
    assert "the server could not be reached" in message
    assert capfd.readouterr() == ("", "")


def test_the_project_and_the_run_of_a_sweep_are_those_of_the_agent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read_wandb: Read
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SWEEP_ID", "sweep")
    monkeypatch.setenv("WANDB_RUN_ID", "agentrun")
    monkeypatch.setenv("WANDB_PROJECT", "agentproject")
    logger = WandbLogger(project="project", name="run", directory=tmp_path)
    logger.log("Loss", SCALAR, global_step=1)
    logger.finalize("success")
    (run,) = (record["run"] for record in read_wandb(tmp_path) if record["type"] == "run")
    assert (run["project"], run["run_id"], run["sweep_id"]) == ("agentproject", "agentrun", "sweep")


def test_a_second_run_of_a_process_is_a_new_run_in_its_own_directory(tmp_path: Path, read_wandb: Read) -> None:
    versions: list[str | None] = []
    for name in ("first", "second"):
        logger = WandbLogger(project="project", name=name, directory=tmp_path / name)
        logger.log("Table", LogEntry(TABLE_ENTRY, {"x": [1]}), global_step=1)
        logger.finalize("failed" if name == "first" else "success")
        versions.append(logger.version)
    assert None not in versions
    assert versions[0] != versions[1]
    for name, exit_code in (("first", 1), ("second", 0)):
        assert list((tmp_path / name).glob("wandb/artifacts/staging/*"))
        assert read_wandb(tmp_path / name)[-1]["exit"].get("exit_code", 0) == exit_code


def test_logging_after_finalize_resumes_the_run(tmp_path: Path) -> None:
    logger = WandbLogger(project="project", name="run", directory=tmp_path)
    for step in (1, 2):
        logger.log("Loss", SCALAR, global_step=step)
        logger.finalize("success")
    first, second = get_offline_runs(tmp_path)
    assert first.name.split("-")[3] == second.name.split("-")[3] == logger.version


def test_a_later_logger_resumes_the_run_of_the_directory(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first = WandbLogger(project="project", name="run", directory=tmp_path)
    assert read_wandb_run(tmp_path) is None
    first.log("Loss", SCALAR, global_step=2)
    first.finalize("success")
    run = read_wandb_run(tmp_path)
    assert run == WandbRun(entity=None, project="project", id=str(first.version))
    later = WandbLogger(project="another", name="run", directory=tmp_path, run_id=run.id)
    later.log("Loss", SCALAR, global_step=1)
    later.finalize("success")
    assert read_wandb_run(tmp_path) == run, "the stored project must be used"
    assert len(get_offline_runs(tmp_path)) == 2
    assert get_messages(caplog)[-1].endswith(
        f"`wandb sync {' '.join(map(str, get_offline_runs(tmp_path)))}` to upload the run."
    )


def test_a_run_of_another_directory_can_be_resumed(tmp_path: Path, read_wandb: Read) -> None:
    logger = WandbLogger(project="project", name="run", directory=tmp_path, run_id="abc")
    logger.log("Loss", SCALAR, global_step=1)
    logger.finalize("success")
    (run,) = (record["run"] for record in read_wandb(tmp_path) if record["type"] == "run")
    assert (run["project"], run["run_id"]) == ("project", "abc")
