import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from frame_train.composition.settings import workspace

Command = Callable[..., Any]

GUIDE = (workspace() / "docs" / "after_training.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)


def insert_times(text: str, folder: Path) -> str:
    """Insert the start times of the runs into the paths of the guide."""

    def find(match: re.Match[str]) -> str:
        (run,) = (folder / match[1]).iterdir()
        return str(run.relative_to(folder))

    return re.sub(r"(my_runs/\w+/\w+)/[\d_-]+", find, text)


def run_lines(block: str, commands: dict[str, Command], folder: Path) -> str:
    """Run the command lines of a block, and return their output."""
    output = ""
    for line in block.replace("\\\n", "").strip().splitlines():
        _, _, command, *arguments = shlex.split(insert_times(line, folder))
        result = commands[command](*arguments)
        assert result.code == 0, result
        assert result.errors == "" or command == "runs", result.errors
        output += result.output
    return output


def test_the_guide_runs_as_written(
    train: Command, evaluate: Command, runs: Command, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    commands = {"train": train, "evaluate": evaluate, "runs": runs}
    names: dict[str, Any] = {}
    output = ""
    for kind, block in BLOCKS:
        if kind == "text":  # numbers and table frames differ between machines
            assert set(re.findall(r"[A-Za-z_/.]{2,}", block)) <= set(re.findall(r"[A-Za-z_/.]{2,}", output))
        elif kind == "python":
            exec(insert_times(block, tmp_path), names)
            output = capfd.readouterr().out
        else:
            output = run_lines(block, commands, tmp_path)
    assert names["run"].global_step == 84
    assert names["reconstructions"].shape == (10, 1, 8, 8)
    assert {kind for kind, _ in BLOCKS} == {"", "python", "text"}
    logged = names["run"].metrics
    assert logged.dropna(subset="LogLikelihood/Validation")["trainer/global_step"].tolist() == [42, 84]
    assert logged["ELBO/Validation"].dropna().nunique() == 1
    assert len(logged["ELBO/Validation"].dropna()) == 3
