"""Checks of the names that an architecture is given."""

from collections.abc import Iterable
from difflib import get_close_matches


def check_choice(name: str, choice: str, choices: Iterable[str]) -> str:
    """Give back a name that is one of the choices.

    Raises:
        ValueError: It is none of them; the message lists them and names the nearest.
    """
    known = list(choices)
    if choice not in known:
        nearest = get_close_matches(str(choice), known, n=1)
        hint = f"; did you mean {nearest[0]!r}?" if nearest else "."
        raise ValueError(f"`{name}` must be one of {', '.join(map(repr, known))}, got {choice!r}{hint}")
    return choice
