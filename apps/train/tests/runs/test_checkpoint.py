from pathlib import Path
from typing import Any

import pytest
import torch

from frame_train.errors import CompositionError
from frame_train.optimization.training_state import Position, TrainingState
from frame_train.runs.checkpoint import read_training_state

STATE = TrainingState(
    global_step=7,
    counters={"iteration": 7},
    position=Position(epoch=1, batch=2),
    n_processes=2,
    n_planned=4,
    logs={"FileLogger": {"bytes": 10}},
    metrics={"ELBO": torch.tensor(1.5)},
    schedules={"beta": {"elapsed": 0.5}},
    watched={"sum": torch.tensor(2.0), "n_data": 3, "batch": 0},
)


def make_content() -> dict[str, Any]:
    """Make the content of a checkpoint, including keys of Lightning and of the user."""
    content: dict[str, Any] = {"state_dict": {}, "epoch": 5, "global_step": 7, "of_a_user": "kept"}
    STATE.write(content)
    return content


def test_a_training_state_is_read_as_it_was_written(tmp_path: Path) -> None:
    torch.save(make_content(), tmp_path / "a.ckpt")
    assert read_training_state(tmp_path / "a.ckpt") == STATE
    assert torch.load(tmp_path / "a.ckpt", weights_only=True)["of_a_user"] == "kept"


def test_the_keys_of_a_checkpoint_are_those_of_earlier_versions() -> None:
    content = make_content()
    assert content["position"] == {"epoch": 1, "batch": 2}
    assert {"counters", "schedules", "logs", "n_processes", "metrics", "watched"} <= content.keys()
    del content["watched"]  # only one kind of optimization wrote it
    assert TrainingState.read(content).watched == {}
    del content["n_planned"]  # the number of processes could not change
    assert TrainingState.read(content).n_planned == STATE.n_processes


@pytest.mark.parametrize(
    "change",
    [
        {"global_step": "7"},
        {"global_step": None},
        {"counters": {"iteration": 1.5}},
        {"counters": [1]},
        {"position": {"epoch": 1}},
        {"position": {"epoch": 1, "batch": 2, "step": 3}},
        {"position": {"epoch": "1", "batch": 2}},
        {"position": 3},
        {"n_processes": True},
        {"n_planned": None},
        {"logs": None},
        {"metrics": []},
        {"schedules": 1},
        {"watched": "x"},
    ],
)
def test_a_malformed_training_state_is_reported(tmp_path: Path, change: dict[str, Any]) -> None:
    torch.save({**make_content(), **change}, tmp_path / "a.ckpt")
    with pytest.raises(CompositionError, match="is not a readable checkpoint"):
        read_training_state(tmp_path / "a.ckpt")


@pytest.mark.parametrize("key", ["counters", "position", "n_processes", "logs", "metrics", "schedules"])
def test_an_incomplete_training_state_is_reported(tmp_path: Path, key: str) -> None:
    torch.save({name: value for name, value in make_content().items() if name != key}, tmp_path / "a.ckpt")
    with pytest.raises(CompositionError, match="is not a readable checkpoint"):
        read_training_state(tmp_path / "a.ckpt")
