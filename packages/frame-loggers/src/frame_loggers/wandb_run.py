"""Identity of the W&B run of a directory, readable without wandb."""

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from frame_loggers.files import open_regular, replace_text

_NAME = re.compile(r"[^/\\]+")
_URL = re.compile(r"https?://[!-~]+")


@dataclass(frozen=True)
class WandbRun:
    """Identity of a W&B run.

    Args:
        entity: User or team that owns the run, or None if only the server knows it.
        project: Project of the run.
        id: Id of the run within its project.
        url: Address of its page, or None if the run is offline.
    """

    entity: str | None
    project: str
    id: str
    url: str | None = None


def write_wandb_run(directory: Path, run: WandbRun) -> None:
    """Write the identity of a run to ``<directory>/wandb/run.json``, where a later process finds it."""
    path = _get_path(directory)
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_text(path, json.dumps(asdict(run), indent=2) + "\n")


def read_wandb_run(directory: Path) -> WandbRun | None:
    """Return the W&B run of a directory, or None if it has none.

    Raises:
        ValueError: The identity can't be read.
    """
    path = _get_path(directory)
    if not path.exists():
        return None
    try:
        with open(path, encoding="utf-8", opener=open_regular) as file:
            run = WandbRun(**json.load(file))
        names = [run.project, run.id] if run.entity is None else [run.entity, run.project, run.id]
        if not all(_NAME.fullmatch(name) and name.isprintable() for name in names):
            raise ValueError(f"expected names without '/', got {names}")
        if run.url is not None and not _URL.fullmatch(run.url):
            raise ValueError(f"expected a web address, got {run.url!r}")
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise ValueError(f"{str(path)!r} can't be read as the identity of a W&B run: {error}.") from error
    return run


def _get_path(directory: Path) -> Path:
    return directory / "wandb" / "run.json"
