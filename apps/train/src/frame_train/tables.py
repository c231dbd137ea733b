"""Tables in Markdown and as CSV."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def write_markdown(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown. Its cells have no meaning in Markdown or HTML."""
    lines = (f"| {' | '.join(map(escape, row))} |" for row in (columns, *rows))
    head, *body = lines
    return "\n".join([head, f"|{' --- |' * len(columns)}", *body])


def write_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows as CSV, with a column for each key."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(name for row in rows for name in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def escape(text: str) -> str:
    """Return a text on one line, without a meaning in Markdown or HTML.

    >>> escape("a|b <i>")
    'a\\\\|b \\\\<i\\\\>'
    """
    plain = "".join(character if character.isprintable() else " " for character in text)
    return "".join(f"\\{character}" if character in "\\|`<>*_[]#&" else character for character in plain)
