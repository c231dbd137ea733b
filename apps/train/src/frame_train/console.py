"""Notices and errors on the terminal, printed without importing a library."""

import os
import sys


def print_notice(line: str) -> None:
    """Print a notice."""
    sys.stderr.write(f"{line}\n")


def print_error(message: str) -> None:
    """Print an error message."""
    red = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    error = "\x1b[1;31merror: \x1b[0m" if red else "error: "
    sys.stderr.write(f"{error}{message}\n")
