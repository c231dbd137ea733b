"""Where a run is: a directory, a checkpoint in one, or a run of W&B's that is brought here."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from omegaconf import DictConfig

from frame_train.composition.compose import compose_config
from frame_train.composition.explanation import EXPLAINED, explain
from frame_train.errors import CompositionError, suggest
from frame_train.runs.directory import FORMAT

_N_SHOWN = 10


def locate(
    where: str | Path, weights: str, device: DictConfig | None = None, needs_checkpoint: bool = True
) -> tuple[Path, str]:
    """Find a run's directory and which of its weights are meant.

    Args:
        where: A run directory, a checkpoint in it, or ``entity/project/run_id`` of W&B.
        weights: Which weights are asked for; ``last`` where ``where`` is a checkpoint.
        device: Device option that says where a run of W&B's is brought to; None for that of this machine.
        needs_checkpoint: Whether a run without any is not whole.

    Raises:
        CompositionError: There is no such run, or it is not whole.
    """
    path = Path(where).expanduser()
    if path.is_file():
        if weights != "last":
            raise CompositionError(
                f"`weights`: {weights!r} is asked for, and `run` is a checkpoint already: {str(path)!r}."
            )
        return _check(_find_directory_of(path), needs_checkpoint=False), str(path.absolute())
    if path.is_dir():
        return _check(path.absolute(), needs_checkpoint), weights
    if _is_remote(str(where)):
        from frame_train.runs.wandb import download_run  # wandb is imported only to download

        runs_root = Path((device or read_device()).runs_root).expanduser()
        return _check(download_run(str(where), weights, runs_root / "downloaded"), needs_checkpoint), weights
    raise CompositionError(f"`run`: there is no {str(where)!r}.{_tell_near(path)}")


def _is_remote(where: str) -> bool:
    return re.fullmatch(r"[\w.-]+/[\w.-]+/[\w-]+", where) is not None and not Path(where.partition("/")[0]).exists()


def _find_directory_of(checkpoint: Path) -> Path:
    for directory in checkpoint.absolute().parents[:2]:
        if (directory / "config.yaml").is_file():
            return directory
    raise CompositionError(
        f"`run`: {str(checkpoint)!r} is in no run directory: a checkpoint has weights alone, and `config.yaml`, which "
        f"says what they belong to, is not there. Give the run directory, or a file in its `checkpoints`."
    )


def _check(directory: Path, needs_checkpoint: bool) -> Path:
    """Check that a run directory is whole, and of a form that is known."""
    parts = {
        "config.yaml": (directory / "config.yaml").is_file(),
        "run.json": (directory / "run.json").is_file(),
    }
    if needs_checkpoint:
        parts["checkpoints/*.ckpt"] = any(directory.glob("checkpoints/*.ckpt"))
    present = [f"`{name}`" for name, is_there in parts.items() if is_there]
    missing = [f"`{name}`" for name, is_there in parts.items() if not is_there]
    if not present:
        what = "is no run directory" if any(directory.iterdir()) else "is empty"
        raise CompositionError(f"`run`: {str(directory)!r} {what}.{_tell_newest(directory)}")
    if missing:
        raise CompositionError(
            f"`run`: {str(directory)!r} is no whole run: it has {', '.join(present)}, and no {', '.join(missing)}."
            f"{_tell_newest(directory.parent)}"
        )
    _check_format(directory / "run.json")
    return directory


def _check_format(path: Path) -> None:
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
        number = description.get("format", FORMAT)
    except (ValueError, AttributeError) as error:
        raise CompositionError(f"`run`: {str(path)!r} can't be read as a description of a run: {error}.") from error
    if type(number) is not int or number < 1:
        raise CompositionError(f"`run`: `format` in {str(path)!r} must be a whole number from 1, got {number!r}.")
    if number > FORMAT:
        raise CompositionError(
            f"`run`: {str(path)!r} is of format {number!r}, and this version reads up to {FORMAT}: "
            "a newer frame-train has written it, and reads it."
        )


def _tell_near(path: Path) -> str:
    """Tell what is there beside a path that is not."""
    parent = next(folder for folder in path.absolute().parents if folder.is_dir())
    name = path.absolute().relative_to(parent).parts[0]
    names = sorted(entry.name for entry in parent.iterdir() if not entry.name.startswith("."))
    shown = ", ".join(names[:_N_SHOWN]) + (", …" if len(names) > _N_SHOWN else "")
    return f" {str(parent)!r} has {shown or 'nothing'}.{suggest(name, names)}{_tell_newest(parent)}"


def _tell_newest(folder: Path) -> str:
    newest = max(_iterate_runs(folder), key=lambda run: (run / "run.json").stat().st_mtime, default=None)
    return f"\nThe newest run below {str(folder)!r} is {str(newest)!r}." if newest else ""


def _iterate_runs(folder: Path) -> Iterator[Path]:
    """Find runs as deep as a folder of runs has them: ``<project>/<name>/<time>``."""
    for pattern in ("*/run.json", "*/*/run.json", "*/*/*/run.json"):
        yield from (path.parent for path in folder.glob(pattern) if any(path.parent.glob("checkpoints/*.ckpt")))


def read_device() -> DictConfig:
    """Read the device option of this machine: ``DEVICE_NAME`` names it, as for `train`.

    Raises:
        CompositionError: There is no such option.
    """
    try:
        return compose_config(()).device
    except EXPLAINED as error:
        raise CompositionError(explain(error, ())) from error
