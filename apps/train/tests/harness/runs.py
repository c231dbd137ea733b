"""Arguments and configs of small runs, and the contents of their run directories."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from torch.utils._pytree import keystr, tree_leaves_with_path

from frame_train.composition.settings import HYDRA_DEFAULTS, config_directory, register_resolvers

ON_TWO_DEVICES = pytest.mark.parametrize("accelerator", ["cpu", pytest.param("gpu", marks=pytest.mark.gpu(n=2))])
"""Runs a test on CPUs (gloo), and on two GPUs (NCCL) if they are there."""

TWO_STEPS = ("trainer.max_epochs=1", "trainer.limit_train_batches=2")
SMALL_VAE = ("+experiment=DIGITS_VAE", "params.encoder_layers=[8]", "params.decoder_layers=[8]")


def compose_train(*overrides: str) -> DictConfig:
    """Compose the config of `train` with Hydra alone."""
    register_resolvers()
    with initialize_config_dir(str(config_directory()), **HYDRA_DEFAULTS):
        return compose("train", list(overrides))


def find_run(root: Path) -> Path:
    """Return the one run directory below a folder."""
    (path,) = (path for path in root.rglob("run.json") if "wandb" not in path.relative_to(root).parts)
    return path.parent


def read_description(directory: Path) -> dict[str, Any]:
    return json.loads((directory / "run.json").read_text())


def read_entries(directory: Path) -> list[dict[str, Any]]:
    """Read what a run has logged, except the times."""
    lines = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name not in ("time", "seconds")} for line in lines]


def read_saved_step(root: Path) -> int:
    """Read the step of the last checkpoint below a folder, which is 0 before the first."""
    manifests = (json.loads(path.read_text()) for path in root.rglob("last.ckpt.json"))
    return max((manifest["global_step"] for manifest in manifests), default=0)


def has_saved(root: Path, step: int) -> bool:
    return read_saved_step(root) >= step


def read_checkpoint(directory: Path, name: str = "last") -> dict[str, Any]:
    """Read the state in a checkpoint by path, except Lightning's own and the byte positions of the logs."""
    state = torch.load(directory / "checkpoints" / f"{name}.ckpt", weights_only=True)
    for key in ("logs", "loops", "epoch"):
        del state[key]
    leaves = tree_leaves_with_path(state)
    return {keystr(path): leaf.tolist() if isinstance(leaf, torch.Tensor) else leaf for path, leaf in leaves}


def read_weights(directory: Path) -> dict[str, Any]:
    """Read the weights and the state of the optimizers from the last checkpoint."""
    state = read_checkpoint(directory)
    return {path: leaf for path, leaf in state.items() if path.startswith(("['state_dict']", "['optimizer_states']"))}


def assert_equal_runs(directory: Path, expected: Path) -> None:
    """Check that two runs have logged the same, and that their checkpoints are equal, bit by bit."""
    assert read_entries(directory) == read_entries(expected)
    for name in ("last", "best"):
        assert read_checkpoint(directory, name) == read_checkpoint(expected, name)
