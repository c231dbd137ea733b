"""What a person composed wrongly, told without a traceback."""

import re
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches


class CompositionError(ValueError):
    """A mistake in the configuration: its message says what was expected, what came and where.

    Args:
        message: The message.
        key: Key of the config that was written wrongly, empty where it is none.
    """

    def __init__(self, message: str, key: str = "") -> None:
        super().__init__(message)
        self.key = key


class JoinedCompositionError(CompositionError):
    """Several mistakes in one configuration.

    Args:
        problems: The mistakes.
    """

    def __init__(self, problems: Sequence[CompositionError]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


class TrainingError(RuntimeError):
    """What ends a training that can't go on: told in a few lines, with exit code 1."""


def raise_any(problems: Sequence[CompositionError]) -> None:
    """Raise what was found, if anything.

    Raises:
        CompositionError: There is a mistake.
    """
    problems = drop_repeated(problems)
    if len(problems) == 1:
        raise problems[0]
    if problems:
        raise JoinedCompositionError(problems)


def drop_repeated(problems: Sequence[CompositionError]) -> list[CompositionError]:
    """Keep one of those that say the same, and one of those that one value causes in several places."""
    kept: dict[str, CompositionError] = {}
    for problem in _flatten(problems):
        message = str(problem)
        kept.setdefault(re.sub("^`.*?`", "", message) if "It comes from" in message else message, problem)
    return list(kept.values())


def _flatten(problems: Sequence[CompositionError]) -> Iterator[CompositionError]:
    for problem in problems:
        if isinstance(problem, JoinedCompositionError):
            yield from _flatten(problem.problems)
        else:
            yield problem


def suggest(name: str, choices: Iterable[str]) -> str:
    """Give `` Did you mean `x`?`` for the choice nearest to a name, nothing where none is near."""
    nearest = get_close_matches(name, list(choices), n=1)
    return f" Did you mean `{nearest[0]}`?" if nearest else ""
