"""A folder of a user's own, in the words of the first configs, is trained, resumed and evaluated."""

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from runs import find_run, read_description, read_entries

FOLDER = Path(__file__).parent / "stripes"
TRAIN = ("--config-dir=config", "+experiment=stripes_VAE")
LINES = {
    "`trainer.gpus: 0` is an old name: it is now `accelerator: cpu` with `devices: 1`.",
    "`trainer.checkpoint_callback: true` is an old name: it is now `enable_checkpointing: true`.",
}

Command = Callable[..., Any]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the user's folder, as the current one."""
    shutil.copytree(FOLDER, tmp_path, dirs_exist_ok=True)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0] == "stripes"]:
        del sys.modules[name]


def test_a_users_own_folder_is_trained_resumed_and_evaluated(
    train: Command, evaluate: Command, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEVICE_NAME", "desk")
    result = train("--check", *TRAIN)
    assert result.code == 0, result
    result = train(*TRAIN)
    assert result.code == 0, result
    assert set(result.errors.splitlines()) == LINES
    run = find_run(folder)
    assert run.relative_to(folder).parts[-3:-1] == ("frame", "stripes_VAE")
    assert read_description(run)["device"] == "desk"
    entries = read_entries(run)
    assert entries[-1]["trainer/global_step"] == entries[-1]["counters/iteration"] == 12
    (elbo,) = (entry["ELBO/Validation"] for entry in entries if "ELBO/Validation" in entry)
    assert [entry["trainer/global_step"] for entry in entries if "Samples" in entry] == [6, 12]
    assert [entry["trainer/global_step"] for entry in entries if "Train/reconstruction" in entry] == [6, 12]
    events = EventAccumulator(str(run)).Reload()
    assert {"ELBO/Validation", "Train/loss", "Train/regularization"} <= set(events.Tags()["scalars"])
    assert events.Tags()["images"] == ["Samples"]

    result = train(f"resume={run}", "trainer.max_epochs=4")
    assert result.code == 0, result
    entries = read_entries(run)
    assert entries[-1]["trainer/global_step"] == 24
    better = [entry["ELBO/Validation"] for entry in entries if "ELBO/Validation" in entry][-1]
    assert better > elbo

    result = evaluate("--config-dir=config", f"run={run}", "allow=[stripes]", "evaluation.elbo.name=ELBO/Again")
    assert result.code == 0, result
    (again,) = (entry["ELBO/Again"] for entry in read_entries(run) if "ELBO/Again" in entry)
    assert again == pytest.approx(better)
