"""Loggers that record their entries, evaluations with known results, a clock set by hand, and a harmful pickle."""

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pytorch_lightning import Callback
from pytorch_lightning.loggers.logger import DummyLogger

from frame_core import SCALAR_ENTRY, SCALARS_ENTRY, Evaluation, LogEntry, Optimization


class RecordingLogger(DummyLogger):
    """Records all entries."""

    def __init__(self) -> None:
        super().__init__()
        self.entries: list[tuple[str, Any, int | None, dict[str, int]]] = []
        self.seconds: list[float | None] = []

    def log(
        self, name: str, log_entry: LogEntry, global_step: int | None = None, counters: Mapping[str, int] | None = None
    ) -> None:
        self.entries.append((name, log_entry.value, global_step, dict(counters or {})))
        self.seconds.append(log_entry.seconds)

    @property
    def steps(self) -> list[int | None]:
        return [step for _, _, step, _ in self.entries]


class KeepingLogger(RecordingLogger):
    """Records checkpoints too."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[str] = []

    def log_checkpoint(self, path: Path, name: str) -> None:
        assert path.is_file()
        self.kept.append(name)


class DisturbingEvaluation(Evaluation):
    """Draws from every random number generator and requires eval mode, as a careless evaluation does."""

    def evaluate(self, optimization: Optimization) -> LogEntry:
        assert not optimization.model.training
        draws = torch.rand(7).sum().item() + float(np.random.rand(3).sum()) + random.random()
        return LogEntry(SCALAR_ENTRY, draws)


class FailingEvaluation(Evaluation):
    """Raises an error."""

    def evaluate(self, optimization: Optimization) -> LogEntry:
        raise RuntimeError("nothing to see")


class SequenceEvaluation(Evaluation):
    """Evaluates to given numbers, one after another."""

    def __init__(self, *values: float) -> None:
        self.values = list(values)

    def evaluate(self, optimization: Optimization) -> LogEntry:
        return LogEntry(SCALARS_ENTRY, {"x": self.values.pop(0)})


class ManualTime:
    """Replaces the clock that callbacks read; it advances on demand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        for module in ("callbacks.evaluation", "distributed.collectives"):
            monkeypatch.setattr(f"frame_train.{module}.time", self)

    def monotonic(self) -> float:
        return self.now


class SecondPerStep(Callback):
    """Advances the time by one second per step."""

    def __init__(self, time: ManualTime) -> None:
        self._time = time

    def on_train_batch_end(self, *arguments: Any) -> None:
        self._time.now += 1


class Planted:
    """Touches a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self._path,)
