"""Identity of the W&B run of a directory, readable without wandb."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from frame_loggers.files import replace_text


@dataclass(frozen=True)
class WandbRun:
    """Identity of a W&B run.

    Args:
        entity: User or team that owns the run, or None if only the server knows it.
        project: Project of the run.
        id: Id of the run within its project.
    """

    entity: str | None
    project: str
    id: str


def write_wandb_run(directory: Path, run: WandbRun) -> None:
    """Write the identity of a run to ``<directory>/wandb/run.json``, where a later process finds it."""
    path = _get_path(directory)
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_text(path, json.dumps(asdict(run), indent=2) + "\n")


def read_wandb_run(directory: Path) -> WandbRun | None:
    """Return the W&B run of a directory, or None if it has none."""
    path = _get_path(directory)
    return WandbRun(**json.loads(path.read_text())) if path.is_file() else None


def _get_path(directory: Path) -> Path:
    return directory / "wandb" / "run.json"
