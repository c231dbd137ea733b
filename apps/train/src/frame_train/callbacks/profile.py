"""A profile of some steps."""

from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch.autograd.profiler_util import FunctionEventAvg
from torch.profiler import profile

from frame_train.terminal import print_line, print_table

_N_ROWS = 15


class Profile(Callback):
    """Callback that profiles some iterations of the Trainer's loop, and then ends training.

    It prints the operations that take the most time on the device, and writes a trace to ``profile.json``, which
    https://ui.perfetto.dev shows. Iterations before the profile warm up.

    Args:
        directory: Folder of the trace.
        warmup: Number of iterations before the profile.
        active: Number of iterations in the profile.
    """

    call_every = 0

    def __init__(self, directory: str | Path, warmup: int = 3, active: int = 5) -> None:
        self._path = Path(directory) / "profile.json"
        self._warmup = warmup
        self._active = active
        self._n_begun = 0
        self._profile: profile | None = None

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if trainer.is_global_zero and self._n_begun == self._warmup:
            self._profile = profile(record_shapes=True)
            self._profile.start()
        self._n_begun += 1

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self._n_begun == self._warmup + self._active:
            self._finish()
            trainer.should_stop = True

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._finish()

    def _finish(self) -> None:
        """End the profile and report it, if it has begun."""
        if self._profile is None:
            return
        running, self._profile = self._profile, None
        running.stop()
        running.export_chrome_trace(str(self._path))
        averages = sorted(running.key_averages(), key=_get_time, reverse=True)[:_N_ROWS]
        rows = [
            (average.key, str(average.count), _format(average.self_cpu_time_total), _format(_get_device_time(average)))
            for average in averages
        ]
        print_table(("operation", "calls", "CPU, ms", "GPU, ms"), rows)
        print_line(f"Trace: {self._path}")


def _get_time(average: FunctionEventAvg) -> float:
    """Return the own time of an operation on the accelerator, or on the CPU if there is no accelerator."""
    return _get_device_time(average) if torch.accelerator.is_available() else average.self_cpu_time_total


def _get_device_time(average: FunctionEventAvg) -> float:
    return average.self_device_time_total


def _format(microseconds: float) -> str:
    return f"{microseconds / 1000:.2f}"
