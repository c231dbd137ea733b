"""The schedules of a model's numbers, each with a clock."""

from collections.abc import Collection, Generator, Mapping
from contextlib import contextmanager
from typing import Any

from pytorch_lightning import Trainer
from torch import nn

from frame_core import Clock, Interval, Schedule
from frame_train.optimization.lightning_internals import list_averaged
from frame_train.optimization.progress import read_progress, read_training_fraction


class ModelSchedules:
    """Advances every `Schedule` in a model with the training.

    Args:
        model: The model.

    Raises:
        ValueError: The ``over`` of a schedule is not an interval.
    """

    def __init__(self, model: nn.Module) -> None:
        self._schedules = {name: part for name, part in model.named_modules() if isinstance(part, Schedule)}
        self._clocks: dict[str, Clock] = {}  # of those that do not last as long as the training
        for name, schedule in self._schedules.items():
            if schedule.over != Schedule.TRAINING:
                with _named(name):
                    self._clocks[name] = Clock(Interval.parse(schedule.over))

    def check(self, counters: Collection[str]) -> None:
        """Check that the training counts what every schedule is measured in.

        Raises:
            ValueError: It does not.
        """
        for name, clock in self._clocks.items():
            with _named(name):
                clock.interval.check_unit(counters)

    def check_trainer(self, trainer: Trainer) -> None:
        """Check that the length of the training is known if a schedule lasts as long.

        Raises:
            ValueError: It is not.
        """
        lasting = [name for name in self._schedules if name not in self._clocks]
        if lasting and trainer.max_epochs == trainer.max_steps == -1:
            raise ValueError(
                f"`{lasting[0]}.over` is the training, whose length is unknown. Set `trainer.max_epochs` or "
                "`trainer.max_steps`, and no `train_for`; or set `over` to a duration."
            )

    def advance(self, trainer: Trainer, epoch_fraction: float) -> None:
        """Set every schedule to the present progress of the training."""
        for name, schedule in self._schedules.items():
            clock = self._clocks.get(name)
            if clock is None:
                schedule.advance_to(read_training_fraction(trainer, epoch_fraction))
                continue
            reading = read_progress(clock.interval, trainer, epoch_fraction)
            if clock.interval.unit == "seconds":  # a resumed run knows what it counts, but not how long it ran
                clock.advance(reading)
                schedule.advance_to(clock.fraction)
            else:
                schedule.advance_to(reading / clock.interval.amount)

    def exclude_from_averages(self, trainer: Trainer) -> None:
        """Share the tensors of the schedules with the averaged copies of the module, so that none is averaged."""
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


@contextmanager
def _named(schedule: str) -> Generator[None]:
    """Add the key of a schedule's interval to a value error."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"`{schedule}.over`: {error}") from error
