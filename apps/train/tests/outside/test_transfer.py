"""The page about transfer is followed on small data, and the new run is taken to another machine."""

import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from frame_train import load_run
from pages import DOCS, read_blocks, write_files
from runs import read_entries

PAGE = DOCS / "transfer.md"
SMALL = ("data=Digits", "params.z_dim=16", "trainer.limit_train_batches=2")
"""Overrides that replace Fashion-MNIST by the digits, in the classifiers of the page."""

Command = Callable[..., Any]


def list_commands() -> list[list[str]]:
    """Return the arguments of `train` in each command of the page."""
    lines = "".join(block.text for block in read_blocks(PAGE) if not block.language).replace("\\\n", "").splitlines()
    return [shlex.split(line.removeprefix("uv run train ")) for line in lines]


def shrink(argument: str, folder: Path) -> str:
    """Replace MNIST by the digits in an argument, and the time of a run by that of this test."""
    match = re.search(r"my_runs/(\w+/\w+)/[\d_-]+", argument.replace("MNIST", "DIGITS"))
    if match is None:
        return argument.replace("MNIST", "DIGITS")
    (run,) = (folder / "my_runs" / match[1]).iterdir()
    return f"{argument.partition('=')[0]}={run}"


def test_the_page_is_followed_and_the_new_run_needs_no_other(train: Command, evaluate: Command, tmp_path: Path) -> None:
    write_files(PAGE, tmp_path)
    source, *classifiers = list_commands()
    assert len(classifiers) == 3
    result = train(*(shrink(argument, tmp_path) for argument in source), "trainer.limit_train_batches=2")
    assert result.code == 0, result
    for arguments in classifiers:
        result = train(*(shrink(argument, tmp_path) for argument in arguments), *SMALL)
        assert result.code == 0, result
    assert "Loaded 10 weights of " in result.errors

    ((probe,), (tuned,)) = ((tmp_path / "my_runs" / "frame" / name).iterdir() for name in ("probe", "tuned"))
    (source_run,) = (tmp_path / "my_runs" / "DIGITS" / "source").iterdir()
    encoders = [
        load_run(run, weights).model.encoder.state_dict()
        for run, weights in ((source_run, "best"), (probe, "last"), (tuned, "last"))
    ]
    for name, value in encoders[0].items():
        assert torch.equal(value, encoders[1][name])
        assert not torch.equal(value, encoders[2][name])

    elsewhere = Path(shutil.move(probe, tmp_path / "elsewhere"))
    shutil.rmtree(tmp_path / "my_runs")
    result = evaluate(f"run={elsewhere}")
    assert result.code == 0, result
    name = "Accuracy/Validation"
    *_, at_the_end, again = (entry[name] for entry in read_entries(elsewhere) if name in entry)
    assert again == at_the_end
    names: dict[str, Any] = {}
    exec(load_run(elsewhere).export(tmp_path / "probe.safetensors"), names)
    torch.testing.assert_close(dict(names["model"].state_dict()), dict(load_run(elsewhere).model.state_dict()))
