"""New folders that are removed after an error."""

import contextlib
from collections.abc import Generator
from pathlib import Path


@contextlib.contextmanager
def made_folder(folder: Path) -> Generator[Path]:
    """Make a folder and its parents; if the block raises, remove the new ones that are empty.

    Raises:
        OSError: The folder can't be made.
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
