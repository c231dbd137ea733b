"""Notices and errors on the terminal, printed without importing a library."""

import os
import sys


def make_printable(text: str) -> str:
    """Return a text without control characters, with which a name could move the cursor or hide a line."""
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)


def print_notice(line: str) -> None:
    """Print a notice."""
    sys.stderr.write(f"{make_printable(line)}\n")


def print_error(message: str) -> None:
    """Print an error message."""
    red = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    error = "\x1b[1;31merror: \x1b[0m" if red else "error: "
    sys.stderr.write(f"{error}{make_printable(message)}\n")
