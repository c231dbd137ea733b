"""What the jobs of a grid came to, wherever each of them ran: a file of each in the folder of the grid."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from frame_train.commands.job import Job
from frame_train.composition.settings import register_resolvers
from frame_train.files import replace_text


class GridFolder(Callback):
    """Tells the process that starts a grid where its folder is.

    Hydra hands it to each job, also to one in another process, which knows our resolvers by that.
    """

    path: ClassVar[Path | None] = None

    def __init__(self) -> None:
        register_resolvers()

    def __reduce__(self) -> tuple[Callable[[], "GridFolder"], tuple[()]]:
        return GridFolder, ()

    def on_multirun_start(self, config: DictConfig, **others: Any) -> None:
        GridFolder.path = Path(config.hydra.sweep.dir)


def write_job(folder: Path, number: int, job: Job) -> None:
    """Write what the job of a number has come to until now."""
    replace_text(folder / f"job-{number}.json", json.dumps(asdict(job), indent=2) + "\n")


def read_jobs(folder: Path) -> list[Job]:
    """Read what the jobs that began have come to, in the order of their numbers."""
    paths = sorted(folder.glob("job-*.json"), key=lambda path: int(path.stem.removeprefix("job-")))
    return [Job(**json.loads(path.read_text())) for path in paths]
