"""A grid of jobs: its command, its folder, and the table of its results."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from frame_train.commands.startup import defer_packages
from frame_train.comparison.grid import Mean, Setting
from frame_train.composition.compose import prepare_hydra


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


def print_settings(settings: Sequence[Setting]) -> None:
    """Print a table of the settings of a grid: their values, and the mean ± standard error of each final metric."""
    from rich.table import Column, Table  # other commands do not need rich

    from frame_train.terminal import make_cell, make_wide_console

    names = list(dict.fromkeys(name for setting in settings for name in setting.metrics))
    monitored = {job.metric for setting in settings for job in setting.jobs}
    names.sort(key=lambda name: name not in monitored)
    columns = [Column(make_cell(name), justify="right", overflow="fold") for name in names]
    table = Table(Column("setting", overflow="fold"), Column("runs", justify="right"), *columns)
    for setting in settings:
        text = " ".join(f"{key}={value}" for key, value in setting.values.items()) or "all"
        n_jobs, n_complete = len(setting.jobs), setting.n_complete
        counts = str(n_jobs) if n_complete == n_jobs else f"{n_complete} of {n_jobs}" if n_complete else "failed"
        cells = [_format(setting.metrics.get(name)) for name in names]
        table.add_row(make_cell(f"{text} (best)" if setting.is_best else text), counts, *cells)
    make_wide_console().print(table)


def _format(mean: Mean | None) -> str:
    if mean is None:
        return ""
    if math.isnan(mean.standard_error):
        return f"{mean.mean:.5g}"
    return f"{mean.mean:.5g} ± {mean.standard_error:.2g}"
