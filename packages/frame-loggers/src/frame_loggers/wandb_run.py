"""Which run of Weights & Biases a directory belongs to, known without wandb."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class WandbRun:
    """What names a run of Weights & Biases.

    Args:
        entity: Who it belongs to; None where only the server knows.
        project: The project.
        id: The run's id in its project.
    """

    entity: str | None
    project: str
    id: str


def write_wandb_run(directory: Path, run: WandbRun) -> None:
    """Write ``<directory>/wandb/run.json``, so that a later process finds the run."""
    path = _get_path(directory)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(run), indent=2) + "\n")


def read_wandb_run(directory: Path) -> WandbRun | None:
    """Give the run that a directory belongs to; None where it was not logged to Weights & Biases."""
    path = _get_path(directory)
    return WandbRun(**json.loads(path.read_text())) if path.is_file() else None


def _get_path(directory: Path) -> Path:
    return directory / "wandb" / "run.json"
