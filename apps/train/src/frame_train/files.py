"""Folders that are made, and taken away again where what they were made for fails."""

import contextlib
import os
from collections.abc import Generator
from pathlib import Path


@contextlib.contextmanager
def made_folder(folder: Path) -> Generator[Path]:
    """Make a folder and its parents; if what follows raises, remove those that were made and are empty.

    Raises:
        OSError: It can't be made.
    """
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
    except BaseException:
        for path in missing:
            with contextlib.suppress(OSError):
                path.rmdir()
        raise


def replace_text(path: Path, text: str) -> None:
    """Write a file beside its place, flushed, and put it there: it is whole at any time."""
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
