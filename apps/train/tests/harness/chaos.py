"""Kills and resumes one run twenty times at random steps; it ends with the weights and metrics of an undisturbed run.

By hand, from the root of the repository: uv run python apps/train/tests/harness/chaos.py [FOLDER [SEED]]
"""

import json
import random
import signal
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.utils._pytree import keystr, tree_leaves_with_path

from processes import Commands, ForkServer

N_KILLS = 20
N_STEPS = 40 * 21
RUN = (
    "+experiment=DIGITS_VAE",
    "logging=none",
    "trainer.max_epochs=40",
    "params.encoder_layers=[8]",
    "params.decoder_layers=[8]",
    "callbacks.last_checkpoint.save_every=7 iterations",
    "callbacks.training_log.log_every=5 iterations",
    "evaluation.elbo_validation.evaluate_every=50 iterations",
)


def run_chaos(folder: Path, seed: int) -> list[str]:
    """Run it, and tell of each kill.

    Args:
        folder: Where to write both runs.
        seed: Seed of the steps and the signals.

    Raises:
        AssertionError: The two runs differ.
    """
    chance = random.Random(seed)
    steps = sorted(chance.sample(range(8, N_STEPS - 8), N_KILLS))
    told: list[str] = []
    with ForkServer() as server:
        commands = Commands(server, folder)
        command = commands.run(*RUN, f"device.experiments_root={folder / 'whole'}")
        assert command.code == 0, command.output
        arguments = ["resume=auto", *RUN, f"device.experiments_root={folder / 'killed'}"]
        for step in steps:
            number = chance.choice((signal.SIGKILL, signal.SIGTERM))
            to_come = max(step, read_step(folder / "killed") + 1)  # the run that was stopped may have logged beyond it
            command = commands.start(*arguments)
            command.wait_until(partial(has_come, folder / "killed", to_come))
            command.send(number)
            assert command.wait() in (-signal.SIGKILL, 143), command.output
            told.append(f"{number.name} at step {step}: goes on from {read_step(folder / 'killed', 'last.ckpt.json')}")
        command = commands.run(*arguments)
        assert command.code == 0, command.output
    (whole,), (killed,) = ((path.parent for path in (folder / name).rglob("run.json")) for name in ("whole", "killed"))
    assert read_entries(killed) == read_entries(whole)
    assert read_weights(killed) == read_weights(whole)
    return told


def has_come(folder: Path, step: int) -> bool:
    return read_step(folder) >= step


def read_step(folder: Path, name: str = "metrics.jsonl") -> int:
    """Read the last step that a run has logged, or the step of its checkpoint."""
    lines = [line for path in folder.rglob(name) for line in path.read_text().splitlines(keepends=True)]
    numbers = [json.loads(line) for line in lines if line.endswith("\n")]
    return max((number.get("trainer/global_step", number.get("global_step")) for number in numbers), default=0)


def read_entries(directory: Path) -> list[dict[str, Any]]:
    """Read what was logged, but for the times."""
    lines = (directory / "metrics.jsonl").read_text().splitlines()
    return [
        {name: value for name, value in json.loads(line).items() if name not in ("time", "seconds")} for line in lines
    ]


def read_weights(directory: Path) -> dict[str, Any]:
    """Read the weights and the state of the optimizer."""
    checkpoint = torch.load(directory / "checkpoints" / "last.ckpt", weights_only=True)
    leaves = tree_leaves_with_path([checkpoint["state_dict"], checkpoint["optimizer_states"]])
    return {keystr(path): leaf.tolist() if isinstance(leaf, torch.Tensor) else leaf for path, leaf in leaves}


if __name__ == "__main__":
    place = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
    for line in run_chaos(place, int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(2**31)):
        print(line)  # noqa: T201
    print(f"{N_KILLS} kills later, the weights and the metrics are those of an undisturbed run: {place}")  # noqa: T201
