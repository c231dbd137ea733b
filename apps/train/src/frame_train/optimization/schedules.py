"""The schedules of a model's numbers, with their clocks."""

from collections.abc import Collection, Mapping
from typing import Any

from pytorch_lightning import Trainer
from torch import nn

from frame_core import Clock, Interval, Schedule
from frame_train.errors import naming
from frame_train.optimization.lightning_internals import list_averaged
from frame_train.optimization.progress import read_progress, read_training_fraction


class ModelSchedules:
    """All schedules of a model, which advance with training.

    Args:
        model: The model.

    Raises:
        ValueError: The ``over`` of a schedule is not an interval.
    """

    def __init__(self, model: nn.Module) -> None:
        self._schedules = {name: part for name, part in model.named_modules() if isinstance(part, Schedule)}
        self._clocks: dict[str, Clock] = {}  # of schedules with their own duration
        for name, schedule in self._schedules.items():
            if schedule.over != Schedule.TRAINING:
                with naming(f"{name}.over"):
                    self._clocks[name] = Clock(Interval.parse(schedule.over))

    def check(self, counters: Collection[str]) -> None:
        """Check that there is a counter for the unit of every schedule.

        Raises:
            ValueError: A counter is missing.
        """
        for name, clock in self._clocks.items():
            with naming(f"{name}.over"):
                clock.interval.check_unit(counters)

    def check_trainer(self, trainer: Trainer) -> None:
        """Check that the length of training is known if a schedule has that length.

        Raises:
            ValueError: The length is unknown.
        """
        lasting = [name for name in self._schedules if name not in self._clocks]
        if lasting and trainer.max_epochs == trainer.max_steps == -1:
            raise ValueError(
                f"`{lasting[0]}.over` is the length of training, which is unknown. Set `trainer.max_epochs` or "
                "`trainer.max_steps`, and no `train_for`; or set `over` to a duration."
            )

    def advance(self, trainer: Trainer, epoch_fraction: float) -> None:
        """Set every schedule to the present progress of training."""
        for name, schedule in self._schedules.items():
            clock = self._clocks.get(name)
            if clock is None:
                schedule.advance_to(read_training_fraction(trainer, epoch_fraction))
                continue
            reading = read_progress(clock.interval, trainer, epoch_fraction)
            if clock.interval.unit == "seconds":  # unlike counters, the time of a resumed run begins again
                clock.advance(reading)
                schedule.advance_to(clock.fraction)
            else:
                schedule.advance_to(reading / clock.interval.amount)

    def exclude_from_averages(self, trainer: Trainer) -> None:
        """Share the values of the schedules with averaged copies of the module, so that they are not averaged."""
        for averaged in list_averaged(trainer):
            for name, schedule in self._schedules.items():
                averaged.get_submodule(f"model.{name}" if name else "model").value = schedule.value

    def state_dict(self) -> dict[str, Any]:
        """Return the state of every clock."""
        return {name: clock.state_dict() for name, clock in self._clocks.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore every clock."""
        for name, clock_state in state.items():
            self._clocks[name].load_state_dict(clock_state)
