"""Texts and tables in Markdown."""

from collections.abc import Iterable, Sequence


def write_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table. Its cells have no meaning in Markdown or HTML."""
    lines = (f"| {' | '.join(map(escape, row))} |" for row in (columns, *rows))
    head, *body = lines
    return "\n".join([head, f"|{' --- |' * len(columns)}", *body])


def escape(text: str) -> str:
    """Return a text on one line, without a meaning in Markdown or HTML.

    >>> escape("a|b <i>")
    'a\\\\|b \\\\<i\\\\>'
    """
    plain = "".join(character if character.isprintable() else " " for character in text)
    return "".join(f"\\{character}" if character in "\\|`<>*_[]#&" else character for character in plain)
