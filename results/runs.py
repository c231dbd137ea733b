"""Training of a row with one seed, and the run directories of earlier trainings."""

import subprocess
import sys
from pathlib import Path

from frame_train.composition.command_line.overrides import normalize_overrides
from frame_train.errors import TrainingError
from frame_train.runs.record import Record, read_record
from results.table import Row


def find_run(row: Row, seed: int, runs: Path) -> Record | None:
    """Return the newest finished run of a row with a seed, or None."""
    for path in sorted(runs.glob("*/*/*/run.json"), reverse=True):
        record = read_record(path.parent)
        arguments = [argument for argument in record.overrides if not argument.startswith("device.")]
        if record.description.get("complete") and arguments == normalize_overrides(_get_arguments(row, seed)):
            return record
    return None


def train(row: Row, seed: int, runs: Path, data_root: Path | None) -> Record:
    """Train a row with a seed, resuming an unfinished run; a finished one is not trained again.

    Args:
        row: The row.
        seed: The seed.
        runs: Folder of the run directories.
        data_root: Folder of the data sets; None for that of the device config, where they may be downloaded.

    Raises:
        TrainingError: The training failed.
    """
    record = find_run(row, seed, runs)
    if record is not None:
        return record
    device = [f"device.experiments_root={runs.absolute()}"]
    if data_root is not None:
        device += [f"device.data_root={data_root.absolute()}", "device.download_files=false"]
    arguments = [*_get_arguments(row, seed), *device, "resume=auto"]
    process = subprocess.Popen([sys.executable, "-m", "frame_train", *arguments])
    try:
        code = process.wait()
    except SystemExit:  # a signal has arrived, perhaps at this process alone
        process.terminate()
        process.wait()  # it saves a checkpoint
        raise
    if code != 0:
        raise TrainingError(f"`train {' '.join(arguments)}` exited with code {code}.")
    record = find_run(row, seed, runs)
    assert record is not None  # the command was successful
    return record


def _get_arguments(row: Row, seed: int) -> list[str]:
    return [*row.arguments, f"seed={seed}", "logging=none"]
