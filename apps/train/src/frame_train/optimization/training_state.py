"""The training state that is added to Lightning's checkpoints."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, cast

from pytorch_lightning import LightningModule, Trainer
from torch import Tensor

from frame_train.optimization.logs import list_logs


@dataclass(frozen=True)
class Position:
    """The batch with which training continues."""

    epoch: int
    batch: int


@dataclass(frozen=True)
class TrainingState:
    """The state that a resumed run needs in addition to Lightning's. Each field is a key of the checkpoint.

    Args:
        global_step: Number of optimizer steps, equal to Lightning's.
        counters: The counters of the optimization.
        position: The batch with which training continues.
        n_processes: Number of ranks.
        n_planned: Number of ranks with which training began, for which the config has the batch size.
        logs: Position of each log, by the class of its logger.
        metrics: The numbers that callbacks monitor.
        schedules: State of the clock of each schedule.
        watched: The mean of the training losses that a schedule of the learning rate watches.
    """

    global_step: int
    counters: Mapping[str, int]
    position: Position
    n_processes: int
    n_planned: int
    logs: Mapping[str, Any]
    metrics: Mapping[str, Tensor]
    schedules: Mapping[str, Any]
    watched: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @classmethod
    def take(
        cls,
        trainer: Trainer,
        counters: Mapping[str, int],
        position: Position,
        schedules: Mapping[str, Any],
        watched: Mapping[str, Any] | None = None,
        n_planned: int | None = None,
    ) -> "TrainingState":
        """Collect the state of training from a trainer."""
        return cls(
            global_step=trainer.global_step,
            counters=counters,
            position=position,
            n_processes=trainer.world_size,
            n_planned=n_planned or trainer.world_size,
            logs={key: log.get_position() for key, log in list_logs(trainer.loggers).items()},
            metrics=dict(trainer.callback_metrics),
            schedules=schedules,
            watched=watched or {},
        )

    def write(self, content: dict[str, Any]) -> None:
        """Add the state to the content of a checkpoint.

        The numbers and texts that `LightningModule.save_hyperparameters` has stored stay, and its objects are removed:
        the config describes them, and a checkpoint with objects can't be read without executing code.
        """
        content.update({**vars(self), "position": asdict(self.position)})
        if LightningModule.CHECKPOINT_HYPER_PARAMS_KEY in content:
            stored = content[LightningModule.CHECKPOINT_HYPER_PARAMS_KEY]
            content[LightningModule.CHECKPOINT_HYPER_PARAMS_KEY] = {
                name: value for name, value in stored.items() if _is_plain(value)
            }

    @classmethod
    def read(cls, content: Mapping[str, Any]) -> "TrainingState":
        """Read the state from the content of a checkpoint.

        Raises:
            ValueError: A part is missing or malformed.
        """
        values: dict[str, Any] = {part.name: content[part.name] for part in fields(cls) if part.name in content}
        try:
            values["position"] = Position(**values["position"])
            values.setdefault("n_planned", values["n_processes"])  # older checkpoints lack it
            state = cls(**values)
            mappings = (state.counters, state.logs, state.metrics, state.schedules, state.watched)
            processes = (state.n_processes, state.n_planned)
            numbers = (state.global_step, *processes, *state.counters.values(), *vars(state.position).values())
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"The training state is incomplete: {error}.") from error
        if not all(isinstance(part, dict) for part in mappings) or not all(type(part) is int for part in numbers):
            raise ValueError("The training state is malformed.")
        return state


def _is_plain(value: Any) -> bool:
    """Return whether a value is a number, a text, None, or a list or dictionary of such values."""
    if isinstance(value, dict):
        return all(_is_plain(part) for item in cast(dict[Any, Any], value).items() for part in item)
    if isinstance(value, list | tuple):
        return all(map(_is_plain, cast(list[Any], value)))
    return value is None or type(value) in (bool, int, float, str)
