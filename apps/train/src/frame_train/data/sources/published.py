"""Files of published data sets, in the folder layout of torchvision."""

import contextlib
import io
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from frame_train.files import made_folder


def provide(name: str, root: Path, folder: str, files: Sequence[str], download: bool, **arguments: Any) -> None:
    """Download the files of a data set if one is missing and a download is allowed.

    Args:
        name: Name of the data set's class in torchvision.
        root: Folder of all data sets.
        folder: Folder of the files, below ``root``.
        files: Names of the files.
        download: Whether to download them.
        arguments: Arguments of torchvision's class.

    Raises:
        FileNotFoundError: A file is missing and was not downloaded.
    """
    missing = [file for file in files if not (root / folder / file).is_file()]
    if not missing:
        return
    off = "`download` is off (`device.download_files`; a stored run never downloads)"
    reason = _download(name, root, folder, files, arguments) if download else off
    if reason:
        raise FileNotFoundError(
            f"{name} is not in {str(root / folder)!r}.\n"
            f"  needed: {', '.join(files)}\n"
            f"  missing: {'all' if len(missing) == len(files) else ', '.join(missing)}\n"
            f"  download: {reason}\n"
            "  Set `device.data_root` to the folder of the data sets, or train `+experiment=DIGITS_VAE`, which needs "
            "no download."
        )


def _download(name: str, root: Path, folder: str, files: Sequence[str], arguments: dict[str, Any]) -> str | None:
    """Download the files, and move them to their folder when all are complete; return why it failed, or None."""
    from torchvision import datasets  # takes seconds to import, and is needed only to download

    try:
        with made_folder(root / folder), tempfile.TemporaryDirectory(dir=root, prefix=f".{name}-") as place:
            with contextlib.redirect_stdout(io.StringIO()):
                getattr(datasets, name)(place, download=True, **arguments)
            for file in files:
                os.replace(Path(place) / folder / file, root / folder / file)
    except RuntimeError as error:
        return " ".join(str(error).split())
    except OSError as error:
        return f"the folder can't be written: {error.strerror}"
    return None
