"""What the jobs of a grid came to, wherever each of them ran: a file of each in the folder of the grid."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from frame_train.composition.settings import register_resolvers
from frame_train.files import replace_text


@dataclass
class Job:
    """One job of a grid: its overrides, the last value of every metric once it has ended well, how it did not."""

    overrides: Sequence[str]
    last_values: Mapping[str, float] | None = None
    crashed: bool = False


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


def print_jobs(jobs: Sequence[Job]) -> None:
    """Print a table of the jobs of a grid: what each sets for itself, and its final metrics."""
    from rich.markup import escape  # here: a command that runs no grid has no need of rich
    from rich.table import Column, Table

    from frame_train.terminal import make_wide_console

    common = set(jobs[0].overrides).intersection(*(job.overrides for job in jobs))
    metrics = sorted({name for job in jobs for name in job.last_values or {}})
    table = Table(Column("job", overflow="fold"), *(Column(name, justify="right", overflow="fold") for name in metrics))
    for job in jobs:
        own = " ".join(override.lstrip("+") for override in job.overrides if override not in common)
        values = job.last_values
        numbers = [f"{values[name]:.5g}" if name in values else "" for name in metrics] if values else ["failed"]
        table.add_row(escape(own), *numbers)
    make_wide_console().print(table)
