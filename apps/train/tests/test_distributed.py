"""Several processes train one run: what they come to, what is written of it, and what ends them all."""

import json
import os
import runpy
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._pytree import keystr, tree_leaves_with_path

Commands = runpy.run_path(str(Path(__file__).with_name("processes.py")))["Commands"]
Train = Callable[..., Any]
N_STEPS = 3 * 18
RUN = (
    "+experiment=DIGITS_Classifier",  # nothing in it is random but the order of the data
    "logging=none",
    "trainer.accelerator=cpu",
    "trainer.max_epochs=3",
    "trainer.limit_train_batches=18",
    "params.layers=[8]",
    "callbacks.last_checkpoint.save_every=4 iterations",
    "callbacks.training_log.log_every=5 iterations",
    "evaluation.accuracy_validation.evaluate_every=7 iterations",
    "+evaluation.often={_target_:frame_train.callbacks.EvaluationCallback,name:Often,max_fraction:0.5,"
    "evaluate_every:0.02 seconds,evaluator:{_target_:frame_eval.AccuracyEvaluation,evaluate_on:train}}",
)
TWO = ("trainer.devices=2", "params.batch_size=16")
ONE = ("trainer.devices=1", "params.batch_size=32")


def make_environment(folder: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "WANDB_MODE": "disabled",
        "OMP_NUM_THREADS": "1",
        "GLOO_SOCKET_IFNAME": "lo",
    }


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Give what starts `train` in processes of their own, which log to no service."""
    folder = tmp_path_factory.mktemp("processes")
    with Commands(folder, make_environment(folder)) as commands:
        yield commands


@pytest.fixture(scope="module")
def pair(commands: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Give the directory of a run of two processes, and what it has said."""
    root = tmp_path_factory.mktemp("pair")
    command = commands.run(*RUN, *TWO, f"device.runs_root={root}")
    assert command.code == 0, command.output
    return find_run(root), command.output


def find_run(root: Path) -> Path:
    (description,) = root.glob("*/*/*/run.json")
    return description.parent


def read_description(directory: Path) -> dict[str, Any]:
    return json.loads((directory / "run.json").read_text())


def read_entries(directory: Path) -> list[dict[str, Any]]:
    """Read what was logged, but for the times, and what time has decided."""
    lines = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
    return [
        {name: value for name, value in line.items() if name not in ("time", "seconds")}
        for line in lines
        if not any(name.startswith("Often") for name in line)
    ]


def read_weights(directory: Path) -> dict[str, Any]:
    """Read the weights and the state of the optimizers."""
    checkpoint = torch.load(directory / "checkpoints" / "last.ckpt", weights_only=True)
    leaves = tree_leaves_with_path([checkpoint["state_dict"], checkpoint["optimizer_states"]])
    return {keystr(path): leaf.tolist() if isinstance(leaf, torch.Tensor) else leaf for path, leaf in leaves}


def has_come(root: Path, n_steps: int) -> bool:
    return any(json.loads(path.read_text())["global_step"] >= n_steps for path in root.rglob("last.ckpt.json"))


def find_children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_there(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status")
    return status.exists() and "zombie" not in status.read_text()


def test_two_processes_come_to_the_losses_of_one_with_twice_the_batch(
    commands: Any, pair: tuple[Path, str], tmp_path: Path
) -> None:
    command = commands.run(*RUN, *ONE, f"device.runs_root={tmp_path}")
    assert command.code == 0, command.output
    entries, expected = read_entries(pair[0]), read_entries(find_run(tmp_path))
    assert len(entries) == len(expected) > N_STEPS // 5
    for entry, other in zip(entries, expected):
        assert entry.keys() == other.keys()
        for name, value in entry.items():
            assert value == pytest.approx(other[name], rel=1e-5) if isinstance(value, float) else value == other[name]


def test_a_run_of_two_processes_has_one_directory_one_log_and_says_each_line_once(pair: tuple[Path, str]) -> None:
    directory, output = pair
    assert [path.name for path in directory.parent.iterdir()] == [directory.name]
    assert read_description(directory)["complete"]
    entries = [(entry["trainer/global_step"], *entry) for entry in read_entries(directory)]
    assert len(set(entries)) == len(entries)
    assert output.count("Run directory:") == output.count("DIGITS / Classifier") == 1
    assert "Warning" not in output
    lines = (directory / "metrics.jsonl").read_text().splitlines()
    assert sum('"Often' in line for line in lines) > 3  # by the clock of the first process


def test_a_run_of_two_processes_that_was_broken_off_and_stopped_is_the_run_that_never_was(
    commands: Any, pair: tuple[Path, str], tmp_path: Path
) -> None:
    command = commands.start(*RUN, *TWO, f"device.runs_root={tmp_path}")
    command.wait_until(lambda: has_come(tmp_path, 8))
    (follower,) = find_children(command.pid)
    os.kill(follower, signal.SIGKILL)
    assert command.wait() == 1, command.output
    directory = find_run(tmp_path)
    assert "Of 2 processes, process 1 (exit code -9) has ended" in command.output
    assert f"`train resume={directory}` goes on from it" in command.output
    assert "Traceback" not in command.output
    assert not read_description(directory)["complete"]

    n_steps = json.loads((directory / "checkpoints" / "last.ckpt.json").read_text())["global_step"]
    command = commands.start(f"resume={directory}")
    command.wait_until(lambda: has_come(tmp_path, n_steps + 4))
    (follower,) = find_children(command.pid)
    os.kill(follower, signal.SIGTERM)  # it is enough that one of them receives it
    assert command.wait() == 143, command.output
    assert "stopped by SIGTERM at global step" in command.output
    assert not is_there(follower)

    command = commands.run(f"resume={directory}")
    assert command.code == 0, command.output
    assert read_weights(directory) == read_weights(pair[0])
    assert read_entries(directory) == read_entries(pair[0])
    assert read_description(directory)["complete"]
