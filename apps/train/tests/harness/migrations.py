"""Comparison of the weights of a Lightning project with those of its migration."""

import re
import shlex
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from frame_train.api import check_statically
from frame_train.commands.grid import list_jobs
from frame_train.composition.compose import compose_config
from frame_train.data import make_shuffled_loader

SILENT = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}


def read_weights(state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Return the weights of the network `net`, whatever it is part of."""
    return {name.rpartition("net.")[2]: value.clone() for name, value in state.items() if "net." in name}


def are_equal(weights: Mapping[str, Tensor], others: Mapping[str, Tensor]) -> bool:
    """Return whether weights are bit-identical."""
    return weights.keys() == others.keys() and all(torch.equal(weights[name], others[name]) for name in weights)


class InOurOrder:
    """The training batches of a Lightning project, in the order of a run of the same seed.

    Args:
        data_set: The training data, with tuples as examples.
        batch_size: Number of examples in a batch.
    """

    def __init__(self, data_set: Any, batch_size: int) -> None:
        self._loader = make_shuffled_loader(data_set, batch_size)
        self.sampler = self._loader.sampler  # Lightning sets its epoch

    def __len__(self) -> int:
        return len(self._loader)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return ((batch["x"], batch["y"]) for batch in self._loader)

    def fit(self, module: pl.LightningModule, **options: Any) -> None:
        """Train a module on the batches with Lightning alone."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pl.Trainer(accelerator="cpu", **SILENT, **options).fit(module, self)


def compose_commands(page: Path) -> int:
    """Compose and check the config of each command `train` of a page, or of its first job; return their number."""
    commands = re.findall(r"^(?:uv run --project \S+ )?train (.*)$", page.read_text(), re.MULTILINE)
    for command in commands:
        arguments = [word for word in shlex.split(command) if word not in ("--check", "resume=auto")]
        folder = arguments[:2]  # --config-dir FOLDER
        overrides = list_jobs(arguments)[0] if "-m" in arguments else arguments[2:]
        check_statically(compose_config([*folder, *overrides]), overrides, lambda notice: None)
    return len(commands)
