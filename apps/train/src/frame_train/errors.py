"""What a person composed wrongly, told without a traceback."""

from collections.abc import Iterable
from difflib import get_close_matches


class CompositionError(ValueError):
    """A mistake in the configuration: its message says what was expected, what came and where."""


def suggest(name: str, choices: Iterable[str]) -> str:
    """Give `` Did you mean `x`?`` for the choice nearest to a name, nothing where none is near."""
    nearest = get_close_matches(name, list(choices), n=1)
    return f" Did you mean `{nearest[0]}`?" if nearest else ""
