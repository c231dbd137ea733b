"""Location of a run: a run directory, a checkpoint in it, or a run that is downloaded from W&B."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from omegaconf import DictConfig

from frame_train.composition.compose import compose_config
from frame_train.composition.explanation import explained
from frame_train.errors import CompositionError, suggest
from frame_train.runs.directory import check_entries, read_description

_N_SHOWN = 10


def locate(
    where: str | Path, weights: str, device: DictConfig | None = None, needs_checkpoint: bool = True
) -> tuple[Path, str]:
    """Return the directory of a run, and the name or path of the requested weights.

    Args:
        where: A run directory, a checkpoint in it, ``entity/project/run_id`` of W&B, or ``last`` for the newest run of
            this machine.
        weights: The requested weights; ``last`` if ``where`` is a checkpoint.
        device: The device config with the folder for downloaded runs; None for that of this machine.
        needs_checkpoint: Whether a run without a checkpoint is incomplete.

    Raises:
        CompositionError: The run does not exist, or is incomplete.
    """
    try:
        return _locate(_leave_run_files(Path(where).expanduser()), weights, device, needs_checkpoint)
    except (OSError, RuntimeError) as error:  # RuntimeError: `~name` of an unknown user
        raise CompositionError(f"`run`: {str(where)!r} can't be read: {error}.") from error


def _leave_run_files(path: Path) -> Path:
    """Return the run directory that a file in it, or its folder of checkpoints, stands for; else the path."""
    is_inside = path.is_file() or path.name == "checkpoints"
    return path.parent if is_inside and (path.parent / "run.json").is_file() else path


def _locate(path: Path, weights: str, device: DictConfig | None, needs_checkpoint: bool) -> tuple[Path, str]:
    if path.is_file():
        if weights != "last":
            raise CompositionError(
                f"`run` is the checkpoint {str(path)!r}, so `weights` must be omitted, got {weights!r}."
            )
        return _check(_find_directory_of(path), needs_checkpoint=False), str(path.absolute())
    if path.is_dir():
        return _check(path.absolute(), needs_checkpoint), weights
    if str(path) == "last":
        return _check(_find_last(device), needs_checkpoint), weights
    if _is_remote(str(path)):
        from frame_train.runs.wandb import download_run  # wandb is imported only to download

        experiments_root = Path((device or read_device()).experiments_root).expanduser()
        return _check(download_run(str(path), weights, experiments_root / "downloaded"), needs_checkpoint), weights
    raise CompositionError(f"There is no run {str(path)!r}.{_describe_nearest(path)}")


def _find_last(device: DictConfig | None) -> Path:
    """Return the run with a checkpoint that was started last. The name of its directory is the time of its start."""
    root = Path((device or read_device()).experiments_root).expanduser().absolute()
    newest = max(_iterate_runs(root), key=lambda directory: directory.name, default=None)
    if newest is None:
        message = f"`run`: there is no run with a checkpoint below {str(root)!r}."
        raise CompositionError(f"{message} Set `device.experiments_root` to the folder of the runs.")
    return newest


def _is_remote(where: str) -> bool:
    return re.fullmatch(r"[\w.-]+/[\w.-]+/[\w-]+", where) is not None and not Path(where.partition("/")[0]).exists()


def _find_directory_of(checkpoint: Path) -> Path:
    for directory in checkpoint.absolute().parents[:2]:
        if (directory / "config.yaml").is_file():
            return directory
    raise CompositionError(
        f"{str(checkpoint)!r} is not in a run directory, whose `config.yaml` describes the model. "
        "Name a run directory, or a file in its `checkpoints`."
    )


def _check(directory: Path, needs_checkpoint: bool) -> Path:
    """Check that a run directory is complete, has a known format, and has no links to other places."""
    check_entries(directory)
    parts = ["config.yaml", "run.json", "checkpoints/*.ckpt"][: 3 if needs_checkpoint else 2]
    missing = [f"`{part}`" for part in parts if not any(path.is_file() for path in directory.glob(part))]
    if len(missing) == len(parts):
        reason = "" if any(directory.iterdir()) else ": it is empty"
        if (directory / "study.db").is_file():
            reason = " but that of a search. The same command continues it"
        raise CompositionError(f"{str(directory)!r} is not a run directory{reason}.{_name_newest(directory)}")
    if missing:
        raise CompositionError(
            f"{str(directory)!r} is an incomplete run directory: {' and '.join(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} missing.{_name_newest(directory.parent)}"
        )
    read_description(directory)
    return directory


def _describe_nearest(path: Path) -> str:
    """List the content of the nearest existing parent of a path that does not exist."""
    parent = next(folder for folder in path.absolute().parents if folder.is_dir())
    name = path.absolute().relative_to(parent).parts[0]
    names = sorted(entry.name for entry in parent.iterdir() if not entry.name.startswith("."))
    shown = ", ".join(names[:_N_SHOWN]) + (", …" if len(names) > _N_SHOWN else "")
    return f" {str(parent)!r} has {shown or 'nothing'}.{suggest(name, names)}{_name_newest(parent)}"


def _name_newest(folder: Path) -> str:
    newest = max(_iterate_runs(folder), key=lambda run: (run / "run.json").stat().st_mtime, default=None)
    return f"\nThe newest run below {str(folder)!r} is {str(newest)!r}." if newest else ""


def _iterate_runs(folder: Path) -> Iterator[Path]:
    """Yield the runs with checkpoints in a folder: the root of all runs, or that of a project or a name."""
    for pattern in ("*/run.json", "*/*/run.json", "*/*/*/run.json"):
        yield from (path.parent for path in folder.glob(pattern) if any(path.parent.glob("checkpoints/*.ckpt")))


def read_device(overrides: Sequence[str] = ()) -> DictConfig:
    """Read the device config of this machine, which ``DEVICE_NAME`` selects as for `train`.

    Args:
        overrides: Changes of it, such as ``device.experiments_root=…``.

    Raises:
        CompositionError: The device config does not exist.
    """
    with explained(overrides):
        return compose_config(overrides).device
