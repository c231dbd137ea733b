"""A run that is killed and resumed twenty times at random steps ends like an undisturbed run.

From the root of the repository: uv run python apps/train/tests/harness/chaos.py [FOLDER [SEED]]
"""

import json
import random
import signal
import sys
import tempfile
from functools import partial
from pathlib import Path

from processes import Commands, ForkServer
from runs import SMALL_VAE, find_run, read_entries, read_saved_step, read_weights

N_KILLS = 20
N_STEPS = 40 * 21
RUN = (
    *SMALL_VAE,
    "logging=none",
    "trainer.max_epochs=40",
    "callbacks.last_checkpoint.save_every=7 iterations",
    "callbacks.training_log.log_every=5 iterations",
    "evaluation.elbo_validation.evaluate_every=50 iterations",
)


def run_chaos(folder: Path, seed: int) -> list[str]:
    """Train both runs, compare them, and return a line about each kill.

    Args:
        folder: Folder for both runs.
        seed: Seed of the steps and the signals.

    Raises:
        AssertionError: The two runs differ.
    """
    chance = random.Random(seed)
    steps = sorted(chance.sample(range(8, N_STEPS - 8), N_KILLS))
    kills: list[str] = []
    with ForkServer() as server:
        commands = Commands(server, folder)
        command = commands.run(*RUN, f"device.experiments_root={folder / 'undisturbed'}")
        assert command.code == 0, command.output
        arguments = ["resume=auto", *RUN, f"device.experiments_root={folder / 'killed'}"]
        for step in steps:
            number = chance.choice((signal.SIGKILL, signal.SIGTERM))
            next_step = max(step, read_logged_step(folder / "killed") + 1)  # a stopped run may have logged a later step
            command = commands.start(*arguments)
            command.wait_until(partial(has_logged, folder / "killed", next_step))
            command.send(number)
            assert command.wait() in (-signal.SIGKILL, 143), command.output
            kills.append(f"{number.name} at step {step}: resumes from {read_saved_step(folder / 'killed')}")
        command = commands.run(*arguments)
        assert command.code == 0, command.output
    killed, undisturbed = find_run(folder / "killed"), find_run(folder / "undisturbed")
    assert read_entries(killed) == read_entries(undisturbed)
    assert read_weights(killed) == read_weights(undisturbed)
    return kills


def has_logged(folder: Path, step: int) -> bool:
    return read_logged_step(folder) >= step


def read_logged_step(folder: Path) -> int:
    """Read the last step in the log of a run that may be writing to it."""
    lines = [line for path in folder.rglob("metrics.jsonl") for line in path.read_text().splitlines(keepends=True)]
    return max((json.loads(line)["trainer/global_step"] for line in lines if line.endswith("\n")), default=0)


if __name__ == "__main__":
    place = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
    for line in run_chaos(place, int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(2**31)):
        print(line)  # noqa: T201
    print(f"After {N_KILLS} kills, the weights and the metrics equal those of an undisturbed run: {place}")  # noqa: T201
