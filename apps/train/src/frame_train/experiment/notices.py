"""Notices on settings that work, but that are rarely meant."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.utilities.model_helpers import is_overridden

from frame_train.experiment.parts import Parts

_CPU = Path("/proc/cpuinfo")


def find_notices(parts: Parts, trainer: Trainer, config: DictConfig) -> Iterator[str]:
    """Find settings of an experiment that are rarely meant, and yield a line for each."""
    if trainer.max_epochs == 0:
        yield "`trainer.max_epochs=0`: nothing will be trained."
    data: Any = getattr(parts.module, "data", {})
    batch_size = config.optimization.get("batch_size")
    n_examples = len(data["train"]) // trainer.world_size if "train" in data else 0
    if isinstance(batch_size, int) and batch_size > n_examples > 0:
        yield f"`optimization.batch_size={batch_size}` is more than the {n_examples} examples: an epoch has one step."
    if parts.module is not None and is_overridden("validation_step", parts.module, LightningModule):
        name = type(parts.module).__name__
        yield f"`{name}.validation_step` is never called: the evaluations under `evaluation` take its place."
    if _emulates_bf16(trainer):
        yield f"`trainer.precision={trainer.precision}`: this CPU has no units for bfloat16, so 32-true is faster."


def _emulates_bf16(trainer: Trainer) -> bool:
    """Return whether a CPU computes in bfloat16 without instructions for it. False if its flags are unknown."""
    if trainer.strategy.root_device.type != "cpu" or not str(trainer.precision).startswith("bf16") or not _CPU.exists():
        return False
    flags = re.findall(r"^(?:flags|Features)\s*:(.*)$", _CPU.read_text(), flags=re.MULTILINE)
    return bool(flags) and not {"avx512_bf16", "amx_bf16", "bf16"} & set(flags[0].split())
