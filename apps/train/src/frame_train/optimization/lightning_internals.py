"""Every use of Lightning's private names: what an upgrade of Lightning has to be checked against."""

import os
from contextlib import nullcontext
from typing import Any

import torch
from pytorch_lightning.profilers import PassThroughProfiler

_NOTHING = nullcontext("")


def disable_nvml_probe() -> None:
    """Let torch not look for a driver again, where there is none.

    Lightning sets a variable by which torch loads NVIDIA's library whenever it is asked for a device, which Adam does
    in every step, so that a process that is forked later can use the device. Without a device nothing is lost.
    """
    if not torch.accelerator.is_available():
        os.environ.pop("PYTORCH_NVML_BASED_CUDA_CHECK", None)


class NoProfiler(PassThroughProfiler):
    """Measures nothing at no cost, where Lightning's makes a generator for each hook of each callback in each step."""

    def profile(self, action_name: str) -> Any:
        return _NOTHING
