"""Tables, trees and filters of the terminal."""

import logging
import warnings
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table
from rich.text import Text
from rich.tree import Tree

from frame_loggers.wandb_run import read_wandb_run
from frame_train.composition.settings import hide_environment
from frame_train.console import make_printable, print_error, print_notice

_SHOWN = (
    "params",
    "data",
    "architectures",
    "model",
    "optimization",
    "evaluation",
    "callbacks",
    "logger",
    "trainer",
    "device",
    "seed",
)


_LEVELS = {
    "pytorch_lightning": logging.ERROR,
    "lightning_fabric": logging.ERROR,
    "pytorch_lightning.profilers": logging.INFO,
}


@contextmanager
def quiet_libraries() -> Generator[None]:
    """Hide announcements and advice of libraries. Errors, the table of a profiler and our own lines stay visible."""
    levels = {logging.getLogger(name): level for name, level in _LEVELS.items()}
    before = {logger: logger.level for logger in levels}
    with warnings.catch_warnings():
        _ignore_advice()
        for logger, level in levels.items():
            logger.setLevel(level)
        try:
            yield
        finally:
            for logger, level in before.items():
                logger.setLevel(level)


def _ignore_advice() -> None:
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")  # in-memory data needs none
    warnings.filterwarnings("ignore", message=".*your dataloader is not resumable.*")  # our samplers are resumable
    warnings.filterwarnings("ignore", message=".*smaller than the logging interval.*")  # callbacks have their own one
    warnings.filterwarnings("ignore", message=".*Skipping val loop.*")  # a notice reports it before training
    warnings.filterwarnings("ignore", message=".*already saved during checkpointing.*")  # checkpoints leave it out
    warnings.filterwarnings("ignore", message=".*in eval mode at the start of training.*")  # frozen parts are
    warnings.filterwarnings("ignore", message=".*overrides the configure_model.*")  # sharding refuses averaged weights
    warnings.filterwarnings("ignore", module=r"pytorch_lightning\.utilities\._pytree", category=FutureWarning)


def silence_notices() -> None:
    """Hide notices and warnings, which another process prints. Errors stay visible."""
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")


def print_config(config: DictConfig, description: str) -> None:
    """Print a composed config as a short tree, with a line for each component and the keys of references.

    Args:
        config: The config.
        description: A description of the training, beside the name of the run.
    """
    config = hide_environment(config)
    tree = Tree(Text.assemble((f"{config.run.project} / {config.run.name}", "bold"), f": {description}"))
    for name in _SHOWN:
        if config.get(name) not in ({}, None):
            _add(tree, name, config)
    make_wide_console().print(tree, overflow="fold")


def make_wide_console() -> Console:
    """Return a console as wide as the terminal, or 160 characters wide if the output is not a terminal."""
    console = Console()
    return console if console.is_terminal else Console(width=160)


def print_closing(last_values: Mapping[str, tuple[float, int | None]], directory: Path) -> None:
    """Print the last value of every metric, the run directory, its report and its page on W&B."""
    print_values([(name, value, step) for name, (value, step) in sorted(last_values.items())])
    print_line(f"Run directory: {directory}")
    print_line(f"Report: {directory / 'report.html'}")
    print_wandb_page(directory)


def print_wandb_page(directory: Path) -> None:
    """Print the address of the page on W&B, if a run has one, or why it can't be read."""
    try:
        run = read_wandb_run(directory)
    except ValueError as error:
        print_notice(str(error))
        return
    if run is not None and run.url is not None:
        print_line(f"W&B: {run.url}")


def print_line(line: str) -> None:
    """Print a line that the terminal wraps, so that its path or address can be copied."""
    Console().print(Text(make_printable(line)), soft_wrap=True)


def print_values(values: Sequence[tuple[str, float, int | None]]) -> None:
    """Print a table of metrics: name, value, global step."""
    if values:
        rows = [(name, f"{value:.5g}", "" if step is None else str(step)) for name, value, step in values]
        print_table(("metric", "last value", "global step"), rows)


def print_table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table whose first column has names, and the others numbers."""
    first, *others = names
    table = Table(Column(first, overflow="fold"), *(Column(name, justify="right") for name in others))
    for row in rows:
        table.add_row(*map(make_cell, row))
    Console().print(table)


def print_checked(what: str, problems: Sequence[str], notes: Sequence[str], seconds: float) -> None:
    """Print the mistakes in a config, notes on possible mistakes, and a summary."""
    for problem in problems:
        print_error(problem)
    for note in notes:
        print_notice(f"note: {note}")
    found = "no mistakes" if not problems else "1 mistake" if len(problems) == 1 else f"{len(problems)} mistakes"
    print_line(f"{what}: {found} (checked in {seconds:.1f} s)")


def print_options(options: Mapping[str, str]) -> None:
    """Print options or groups, each with a description on the same line."""
    table = Table(Column(no_wrap=True, style="cyan"), "", box=None, show_header=False, pad_edge=False)
    for name, description in options.items():
        table.add_row(escape(name), escape(description))
    make_wide_console().print(table)


def print_differences(directories: Sequence[Path], differences: Mapping[str, Sequence[Sequence[str]]]) -> None:
    """Print the differences between runs, with a table for each kind."""
    console = make_wide_console()
    letters = [chr(ord("A") + index) for index in range(len(directories))]
    for letter, directory in zip(letters, directories):
        console.print(Text(make_printable(f"{letter}: {directory}")), soft_wrap=True)
    for title, rows in differences.items():
        if rows:
            values = (Column(letter, overflow="fold") for letter in letters)
            difference = [Column("B - A", justify="right")] if len(letters) == 2 else []
            table = Table(Column(title, overflow="fold"), *values, *difference)
            for row in rows:
                table.add_row(*map(make_cell, row))
            console.print(table)
        else:
            console.print(f"{title}: nothing differs")


def make_cell(text: str) -> str:
    """Return a text as a cell of a table, without control characters and markup."""
    return escape(make_printable(text))


def _add(tree: Tree, name: str, parent: DictConfig) -> None:
    """Add a line for a component or its arguments, and a branch for a group of components."""
    node = parent[name]
    if isinstance(node, DictConfig) and "_target_" not in node and _holds_components(node):
        branch = tree.add(Text(name, style="cyan"))
        for child in node:
            _add(branch, str(child), node)
    else:
        tree.add(Text.assemble((make_printable(name), "cyan"), " ", make_printable(_summarize(node))))


def _holds_components(node: DictConfig) -> bool:
    return any(isinstance(node[name], DictConfig) and "_target_" in node[name] for name in node)


def _summarize(node: Any) -> str:
    """Return a component as ``Class(argument=value)``, or a mapping as ``name=value``, on one line."""
    if not isinstance(node, DictConfig):
        return str(node)
    arguments = ", ".join(f"{name}={_summarize_entry(node, name)}" for name in node if not str(name).startswith("_"))
    return f"{node['_target_'].rpartition('.')[2]}({arguments})" if "_target_" in node else arguments


def _summarize_entry(node: DictConfig, name: Any) -> str:
    """Return a value as text; for a reference to a component, its key."""
    value = node[name]
    if isinstance(value, DictConfig) and OmegaConf.is_interpolation(node, name):
        raw = cast(dict[str, Any], OmegaConf.to_container(node, resolve=False))
        return raw[name].strip("${}")
    if isinstance(value, DictConfig) and "_target_" not in value:
        return f"{{{_summarize(value)}}}"
    return _summarize(value)
