"""What Lightning lets torch do about drivers of accelerators."""

import os

import torch


def remember_that_there_is_none() -> None:
    """Let torch not look for a driver again, where there is none.

    Lightning sets a variable by which torch loads NVIDIA's library whenever it is asked for a device, which Adam does
    in every step, so that a process that is forked later can use the device. Without a device nothing is lost.
    """
    if not torch.accelerator.is_available():
        os.environ.pop("PYTORCH_NVML_BASED_CUDA_CHECK", None)
