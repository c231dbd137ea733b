"""Results of the jobs of a grid, one file per job in the folder of the grid."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from frame_loggers.files import replace_text
from frame_train.commands.startup import defer_packages
from frame_train.composition.compose import prepare_hydra


@dataclass
class Job:
    """One job of a grid.

    Args:
        overrides: Its overrides.
        last_values: The last value of every metric; None until the job succeeds.
        crashed: Whether it failed, but not because of a mistake in its config.
    """

    overrides: Sequence[str]
    last_values: Mapping[str, float] | None = None
    crashed: bool = False


class GridCallback(Callback):
    """Hydra callback that stores the config of a grid as the current Hydra config, for `find_grid`.

    Hydra also creates it in the process of each job. There it prepares the process as the command does.
    """

    def __init__(self) -> None:
        defer_packages()
        prepare_hydra()

    def __reduce__(self) -> tuple[Callable[[], "GridCallback"], tuple[()]]:
        return GridCallback, ()

    def on_multirun_start(self, config: DictConfig, **others: Any) -> None:
        HydraConfig.instance().set_config(config)


def forget_grid() -> None:
    """Forget the config of an earlier grid in this process."""
    HydraConfig.instance().cfg = None


def find_grid() -> Path | None:
    """Return the folder of the grid that this process started; None if it started none."""
    return Path(HydraConfig.get().sweep.dir) if HydraConfig.initialized() else None


def write_job(folder: Path, number: int, job: Job) -> None:
    """Write the present result of a job."""
    replace_text(folder / f"job-{number}.json", json.dumps(asdict(job), indent=2) + "\n")


def read_jobs(folder: Path) -> list[Job]:
    """Read the results of all jobs that started, in the order of their numbers."""
    paths = sorted(folder.glob("job-*.json"), key=lambda path: int(path.stem.removeprefix("job-")))
    return [Job(**json.loads(path.read_text())) for path in paths]


def print_jobs(jobs: Sequence[Job]) -> None:
    """Print a table of the jobs of a grid: the overrides that differ, and the final metrics."""
    from rich.markup import escape  # other commands do not need rich
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
