"""User-facing errors, which the commands report without a traceback."""

import sysconfig
import traceback
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from difflib import get_close_matches

from frame_train.console import make_printable

_MOST_LINES = 5
_OURS = tuple(f"frame_{name}." for name in ("core", "models", "architectures", "eval", "loggers", "train"))
_INSTALLED = tuple(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib"))


class CompositionError(ValueError):
    """A mistake in the configuration: what was expected, what was found, and what to do.

    Args:
        message: The message. Its control characters, which may come from a foreign run, are escaped.
        key: The key with the wrong value; empty if the mistake is not in the config.
        origin: The file or override that sets the value. `frame_train.composition.origins` adds it to the report.
    """

    def __init__(self, message: str, key: str = "", origin: str = "") -> None:
        super().__init__(make_printable(message))
        self.key = key
        self.origin = origin
        self.is_explained = False
        """Whether the message includes the origin of the value."""

    @property
    def problems(self) -> list["CompositionError"]:
        """The mistakes, one by one."""
        return [self]


class JoinedCompositionError(CompositionError):
    """Several mistakes in a configuration.

    Args:
        problems: The mistakes.
    """

    def __init__(self, problems: Iterable[CompositionError]) -> None:
        self._problems = list(problems)
        super().__init__("\n".join(map(str, self._problems)))

    @property
    def problems(self) -> list[CompositionError]:
        return self._problems


class TrainingError(RuntimeError):
    """An unrecoverable training failure, reported without a traceback, with exit code 1."""


class EvaluationError(RuntimeError):
    """Failed evaluations, with exit code 1. The results of the other evaluations of a stored run are logged.

    Args:
        message: The message. Its control characters, which may come from a foreign run, are escaped.
    """

    def __init__(self, message: str) -> None:
        super().__init__(make_printable(message))


def raise_any(problems: Iterable[CompositionError]) -> None:
    """Raise the mistakes, each once, if there are any.

    Raises:
        CompositionError: There is at least one mistake.
    """
    single = {str(problem): problem for joined in problems for problem in joined.problems}
    if len(single) > 1:
        raise JoinedCompositionError(single.values())
    for problem in single.values():
        raise problem


@contextmanager
def collected(problems: list[CompositionError]) -> Generator[None]:
    """Add mistakes that the block raises to a list, and continue after the block."""
    try:
        yield
    except CompositionError as error:
        problems += error.problems


@contextmanager
def naming(argument: str) -> Generator[None]:
    """Add the name of an argument to a `ValueError` that the block raises."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"`{argument}`: {error}") from error


def find_nearest(name: str, choices: Iterable[str]) -> str | None:
    """Return the choice nearest to a name, whatever its case; None if none is near."""
    by_lower = {choice.lower(): choice for choice in choices}
    nearest = get_close_matches(name.lower(), by_lower, n=1)
    return by_lower[nearest[0]] if nearest else None


def suggest(name: str, choices: Iterable[str]) -> str:
    """Return `` Did you mean `x`?`` for the choice nearest to a name; empty if none is near.

    It duplicates `frame_core.checks.suggest`, whose package imports torch, so that mistakes are reported sooner.
    """
    nearest = find_nearest(name, choices)
    return f" Did you mean `{nearest}`?" if nearest else ""


def describe_error(error: Exception) -> str:
    """Return the message of an error, with its type if it is unclear alone, and the line of the user's code."""
    is_unclear = isinstance(error, KeyError | AttributeError) or not str(error)
    message = f"{type(error).__name__}: {error}" if is_unclear else str(error).strip()
    message = "\n".join(message.splitlines()[:_MOST_LINES])
    line = _find_own_line(error)
    return f"{message} ({line})" if line else message


def _find_own_line(error: Exception) -> str:
    """Return the innermost line of the user's own code in the traceback of an error; empty without such a line."""
    calls = [
        (frame.f_code.co_filename, line, frame.f_globals) for frame, line in traceback.walk_tb(error.__traceback__)
    ]
    own = [
        f"{file}, line {line}"
        for file, line, names in calls
        if not file.startswith(("<", *_INSTALLED)) and not names.get("__name__", "").startswith(_OURS)
    ]
    return own[-1] if own else ""
