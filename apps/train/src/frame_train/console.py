"""Lines for the person at the terminal: they need no library, and are there at once."""

import os
import sys


def print_notice(line: str) -> None:
    """Print a line that a person should know of."""
    sys.stderr.write(f"{line}\n")


def print_error(message: str) -> None:
    """Print what went wrong."""
    red = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    error = "\x1b[1;31merror: \x1b[0m" if red else "error: "
    sys.stderr.write(f"{error}{message}\n")
