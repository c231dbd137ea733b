"""New folders that are removed after an error, and protection from settings in the current folder."""

import contextlib
import os
from collections.abc import Generator
from pathlib import Path

_DISABLE_GIT = "WANDB_DISABLE_GIT"


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


@contextlib.contextmanager
def without_local_settings() -> Generator[None]:
    """Keep libraries from settings of the current folder, and from git, which executes commands in its settings.

    The current folder may be a foreign run. W&B would send the user's API key to the server named in its
    ``wandb/settings``.
    """
    before = os.environ.get(_DISABLE_GIT)
    os.environ[_DISABLE_GIT] = "true"
    try:
        with contextlib.chdir("/"):
            yield
    finally:
        os.environ.pop(_DISABLE_GIT)
        if before is not None:
            os.environ[_DISABLE_GIT] = before
