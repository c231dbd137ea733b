"""Removal of run directories."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from frame_train.comparison.summary import Summary
from frame_train.runs.directory import claimed


def is_empty(run: Summary) -> bool:
    """Return whether a run left nothing to resume or to load: it is neither complete nor has a checkpoint."""
    return run.status in ("stopped", "killed", "damaged") and not any(run.directory.glob("checkpoints/*.ckpt"))


def list_removable(runs: Sequence[Summary], is_filtered: bool) -> list[Summary]:
    """Return the runs that `runs clean` removes: those that pass its filters; without filters, the empty ones.

    A run in training is never removed.
    """
    idle = [run for run in runs if run.status != "running"]
    return idle if is_filtered else [run for run in idle if is_empty(run)]


def measure(directory: Path) -> int:
    """Return the size of the files in a folder, in bytes. Links are not followed."""
    return sum(path.lstat().st_size for path in directory.rglob("*") if not path.is_dir())


def remove(directory: Path, root: Path) -> None:
    """Remove a run directory, and its parents below the root if they are empty.

    Raises:
        CompositionError: A process trains in it.
        OSError: It can't be removed.
    """
    with claimed(directory):
        shutil.rmtree(directory)
    for parent in directory.relative_to(root).parents[:-1]:
        if any((root / parent).iterdir()):
            break
        (root / parent).rmdir()
