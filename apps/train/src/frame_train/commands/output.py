"""Standard output and standard error that never end a command, and the versions."""

import contextlib
import io
import os
import sys
from collections.abc import Generator
from importlib.metadata import version
from typing import Any, TextIO

_BOTH = ("stdout", "stderr")


class _ForgivingFile(io.FileIO):
    """File that discards what can't be written: its reader has ended, its terminal is closed or its disk is full."""

    is_reported = False
    """Whether a notice has been printed, or standard error can't be written either."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            if not self.is_reported:
                self.is_reported = True
                sys.stderr.write(f"The output can't be written: {error.strerror}. The command continues without it.\n")
            return len(data)


@contextlib.contextmanager
def forgiving_output() -> Generator[None]:
    """Continue when the output can't be written, and print characters that it does not have as escapes."""
    before = {name: getattr(sys, name) for name in _BOTH}
    for name, stream in before.items():
        setattr(sys, name, _make_forgiving(name, stream))
    try:
        yield
    finally:
        for name, stream in before.items():
            getattr(sys, name).flush()
            if stream is None:
                getattr(sys, name).close()
            setattr(sys, name, stream)


def print_versions() -> None:
    """Print our version, and those of the libraries that most results depend on."""
    for name in ("frame-train", "hydra-core", "pytorch-lightning", "torch"):
        sys.stdout.write(f"{name} {version(name)}\n")


def _make_forgiving(name: str, stream: TextIO | None) -> TextIO:
    if stream is None:  # the descriptor is closed
        return open(os.devnull, "w")
    try:
        file = _ForgivingFile(stream.fileno(), "w", closefd=False)
    except io.UnsupportedOperation:  # an object in memory
        return stream
    file.is_reported = name == "stderr"
    stream.flush()
    return io.TextIOWrapper(io.BufferedWriter(file), stream.encoding, "backslashreplace", line_buffering=True)
