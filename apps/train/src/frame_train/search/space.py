"""The search space: parameters in the words of a sweep of W&B."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from frame_train.composition.command_line.overrides import write_value
from frame_train.errors import CompositionError, suggest

if TYPE_CHECKING:
    from optuna import Trial

_KEYS: Mapping[str, Sequence[str]] = {
    "constant": ("value",),
    "categorical": ("values",),
    "int_uniform": ("min", "max"),
    "uniform": ("min", "max"),
    "q_uniform": ("min", "max"),
    "log_uniform_values": ("min", "max"),
    "q_log_uniform_values": ("min", "max"),
}
"""The keys that each distribution needs. Those that begin with ``q_`` may have ``q``."""


@dataclass(frozen=True)
class Parameter:
    """A parameter of the search space.

    Args:
        key: The key of the config.
        distribution: The name of its distribution.
        values: The choices of a categorical parameter; the lowest and the highest value of any other one.
        q: Values are rounded to multiples of it; None for no rounding.
    """

    key: str
    distribution: str
    values: Sequence[Any]
    q: float | None = None

    def suggest(self, trial: "Trial") -> Any:
        """Return the value of the parameter in a trial."""
        if self.distribution == "categorical":
            choices = {_write_choice(value): value for value in self.values}
            return choices[trial.suggest_categorical(self.key, list(choices))]
        low, high = self.values
        if self.distribution == "int_uniform":
            return trial.suggest_int(self.key, low, high)
        value = trial.suggest_float(self.key, low, high, log="log" in self.distribution)
        return value if self.q is None else _round(value, self.q)


def parse_parameters(content: Any, file: str) -> list[Parameter]:
    """Parse the ``parameters`` of a search file.

    Args:
        content: The mapping of keys of the config to distributions.
        file: The name of the file, for messages.

    Raises:
        CompositionError: A distribution is unknown, or its values are missing or wrong.
    """
    if not isinstance(content, dict) or not content:
        raise CompositionError(
            f"`{file}`: `parameters` must be a mapping of keys to distributions, got {content!r}. "
            "Write for example `parameters: {params.beta: {min: 0.1, max: 1.0}}`."
        )
    return [_parse(str(key), entry, f"`{file}`: `parameters.{key}`") for key, entry in cast(Any, content).items()]


def list_samples(parameters: Sequence[Parameter]) -> Iterator[list[str]]:
    """Yield overrides that contain each choice of each parameter, and both ends of each range, at least once."""
    for index in range(max(len(parameter.values) for parameter in parameters)):
        yield [
            write_override(parameter.key, parameter.values[min(index, len(parameter.values) - 1)])
            for parameter in parameters
        ]


def write_override(key: str, value: Any) -> str:
    """Write an override in Hydra's grammar."""
    return f"{key}={write_value(value)}"


def _parse(key: str, entry: Any, where: str) -> Parameter:
    if not isinstance(entry, dict):
        raise CompositionError(f"{where} must be a mapping such as `{{min: 0.1, max: 1.0}}`, got {entry!r}.")
    options = cast(dict[str, Any], entry)
    if "parameters" in options:
        raise CompositionError(f"{where} must be a distribution, got nested parameters. Write `{key}.name` instead.")
    distribution = options.get("distribution", _infer_distribution(options))
    if distribution == "log_uniform":
        raise CompositionError(f"{where}: `log_uniform` has exponents as bounds. Use `log_uniform_values` instead.")
    if not isinstance(distribution, str) or distribution not in _KEYS:
        raise CompositionError(
            f"{where}: `distribution` must be one of {', '.join(_KEYS)}, got {distribution!r}."
            f"{suggest(str(distribution), _KEYS)}"
        )
    needed = _KEYS[distribution]
    allowed = ["distribution", *needed, *(["q"] if distribution.startswith("q_") else [])]
    if not set(needed) <= options.keys() <= set(allowed):
        raise CompositionError(
            f"{where}: {distribution} needs {' and '.join(f'`{name}`' for name in needed)}, got "
            f"{', '.join(f'`{name}`' for name in options if name != 'distribution') or 'nothing'}."
        )
    if distribution == "constant":
        return Parameter(key, "categorical", [options["value"]])
    if distribution == "categorical":
        return Parameter(key, distribution, _check_choices(options["values"], where))
    low, high = (_check_number(options[name], f"{where}: `{name}`", distribution) for name in needed)
    if low > high:
        raise CompositionError(f"{where}: `min` must be at most `max`, got {low!r} and {high!r}.")
    q = _check_number(options.get("q", 1), f"{where}: `q`", "log") if distribution.startswith("q_") else None
    return Parameter(key, distribution, [low, high], q)


def _infer_distribution(options: Mapping[str, Any]) -> str:
    """Return the distribution of a parameter that names none, as W&B does."""
    if "value" in options:
        return "constant"
    if "values" in options:
        return "categorical"
    return "int_uniform" if all(type(options.get(name)) is int for name in ("min", "max")) else "uniform"


def _check_choices(values: Any, where: str) -> list[Any]:
    if not isinstance(values, list) or not values:
        raise CompositionError(f"{where}: `values` must be a list of choices, got {values!r}.")
    return cast(list[Any], values)


def _check_number(value: Any, where: str, distribution: str) -> float:
    kind = int if distribution == "int_uniform" else (int, float)
    if isinstance(value, bool) or not isinstance(value, kind) or not math.isfinite(value):
        expected = "an integer" if kind is int else "a number"
        raise CompositionError(f"{where} must be {expected}, got {value!r}.")
    if "log" in distribution and value <= 0:
        raise CompositionError(f"{where} must be positive, got {value!r}.")
    return value


def _write_choice(value: Any) -> Any:
    """Return a choice as Optuna can store it: lists and mappings as text."""
    return write_value(value) if isinstance(value, list | dict) else value


def _round(value: float, q: float) -> float:
    """Round to a multiple of q: an integer for an integer q."""
    count = round(value / q)
    return count * q if isinstance(q, int) else float(f"{count * q:.12g}")
