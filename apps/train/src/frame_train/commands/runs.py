"""The command `runs`: list, compare and remove runs."""

import argparse
import contextlib
import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

from frame_train.commands.exit_codes import run_reported, shows_traceback
from frame_train.commands.output import forgiving_output
from frame_train.comparison.removal import list_removable, measure, remove
from frame_train.comparison.selection import select, sort
from frame_train.comparison.summary import Summary, iterate_directories, read_summary
from frame_train.console import make_printable, print_error, print_notice
from frame_train.errors import CompositionError
from frame_train.runs.location import read_device
from frame_train.tables import write_csv

_EXAMPLES = """\
examples:
  runs                                       the latest runs, and the settings that differ
  runs status=complete params.beta=1         runs with these settings
  runs project='MNIST*' --sort ELBO/Validation
  runs --csv > runs.csv                      every run, every setting, every metric
  runs compare RUN RUN …                     differences between their configs and metrics
  runs clean                                 list incomplete runs without a checkpoint
  runs clean status=killed --yes             remove the runs that pass the filters
"""


_MOST_COMPARED = 26  # each has a letter


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise CompositionError(f"{message[:1].upper()}{message[1:]}. `runs --help` lists the flags.")


def main() -> None:
    """List the runs below ``device.experiments_root``, compare runs, or remove them.

    After a mistake, the exit code is 2. If a run can't be removed, it is 1.
    """
    show_traceback = shows_traceback()
    arguments = [argument for argument in sys.argv[1:] if argument != "--traceback"]
    with forgiving_output():
        sys.exit(run_reported(lambda: _run(arguments), show_traceback))


def _run(arguments: Sequence[str]) -> int:
    if arguments[:1] == ["compare"]:
        _compare(_parse_compare(arguments[1:]))
        return 0
    if arguments[:1] == ["clean"]:
        return _clean(_parse_clean(arguments[1:]))
    _list(_parse_list(arguments))
    return 0


def _parse_list(arguments: Sequence[str]) -> argparse.Namespace:
    parser = _Parser(
        "runs",
        description="List the runs of this machine, the latest last.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_filters(parser)
    parser.add_argument("--sort", metavar="KEY", help="a setting, a metric, name, status, started or seconds")
    parser.add_argument("--descending", action="store_true", help="from the largest to the smallest")
    parser.add_argument("--limit", type=int, default=30, metavar="N", help="rows of the table (30); 0 for all")
    forms = parser.add_mutually_exclusive_group()
    forms.add_argument("--json", action="store_true", help="print every run as JSON")
    forms.add_argument("--markdown", action="store_true", help="print every run and its last metrics as Markdown")
    forms.add_argument("--csv", action="store_true", help="print every run as CSV")
    return parser.parse_args(arguments)


def _parse_compare(arguments: Sequence[str]) -> argparse.Namespace:
    parser = _Parser("runs compare", description="Compare the config, versions and final metrics of runs.")
    parser.add_argument("run", nargs="+", help="a run directory")
    parser.add_argument("--page", type=Path, metavar="FILE", help="also write curves and pictures to an HTML file")
    return parser.parse_args(arguments)


def _parse_clean(arguments: Sequence[str]) -> argparse.Namespace:
    parser = _Parser("runs clean", description="List the runs to remove, and with --yes remove them.")
    _add_filters(parser)
    parser.add_argument("--yes", action="store_true", help="remove them")
    return parser.parse_args(arguments)


def _add_filters(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("filter", nargs="*", metavar="KEY=VALUE", help="project, name, status, or a setting")
    parser.add_argument("--root", type=Path, metavar="FOLDER", help="folder of the runs (device.experiments_root)")


def _read_runs(root: Path | None) -> tuple[Path, list[Summary]]:
    folder = Path(read_device().experiments_root) if root is None else root
    with contextlib.suppress(RuntimeError):  # `~name` of an unknown user
        folder = folder.expanduser()
    folder = folder.absolute()
    if not folder.is_dir():
        raise CompositionError(f"There is no folder {str(folder)!r}. `--root` names the folder of the runs.")
    try:
        runs = [read_summary(directory) for directory in iterate_directories(folder)]
    except OSError as error:
        raise CompositionError(f"{str(error.filename)!r} can't be read: {error.strerror}.") from error
    return folder, sort(runs, "started", is_descending=False) if runs else []


def _list(flags: argparse.Namespace) -> None:
    if flags.limit < 0:
        raise CompositionError(f"`--limit` must be at least 0, got {flags.limit}.")
    root, runs = _read_runs(flags.root)
    runs = select(runs, flags.filter)
    if flags.sort is not None and runs:
        runs = sort(runs, flags.sort, flags.descending)
    if flags.json:
        print(json.dumps([_as_json(run) for run in runs], indent=2))  # noqa: T201
    elif flags.csv:
        sys.stdout.write(_write_csv(runs))
    elif flags.markdown:
        from frame_train.comparison.table import describe_runs  # rich is imported only where needed

        print(make_printable(describe_runs(runs, root)))  # noqa: T201
    elif not runs:
        print_notice(f"There are no such runs below {str(root)!r}.")
    else:
        from frame_train.comparison.table import print_runs  # rich is imported only where needed

        shown = runs[-flags.limit :]
        print_runs(shown, root)
        if len(shown) < len(runs):
            print_notice(f"{len(runs) - len(shown):,} more runs: `--limit 0` shows all")


def _as_json(run: Summary) -> dict[str, Any]:
    fields = {**asdict(run), "directory": str(run.directory), "started": run.started and run.started.isoformat()}
    return {name: _without_non_finite(value) for name, value in fields.items()}


def _without_non_finite(value: Any) -> Any:
    """Replace NaN and infinities, which JSON does not have, by None."""
    if isinstance(value, Mapping):
        return {name: _without_non_finite(item) for name, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _write_csv(runs: Sequence[Summary]) -> str:
    return write_csv(
        [{make_printable(name): _write_cell(value) for name, value in _flatten(run).items()} for run in runs]
    )


def _write_cell(value: Any) -> str:
    return "" if value is None else make_printable(str(value))


def _flatten(run: Summary) -> dict[str, Any]:
    row = {name: getattr(run, name) for name in ("directory", "project", "name", "status", "started", "seconds")}
    metrics = {f"{kind} {name}": value for kind in ("last", "best") for name, value in getattr(run, kind).items()}
    return {**row, **run.settings, **metrics}


def _compare(flags: argparse.Namespace) -> None:
    if len(flags.run) < 2:
        raise CompositionError(f"`compare` needs at least two runs, got {len(flags.run)}.")
    if len(flags.run) > _MOST_COMPARED:
        raise CompositionError(
            f"`compare` takes at most {_MOST_COMPARED} runs, got {len(flags.run)}. `runs --csv` has all."
        )
    if flags.page is not None and flags.page.suffix != ".html":
        raise CompositionError(f"`--page` must be a file that ends in `.html`, got {str(flags.page)!r}.")
    from frame_train.comparison.difference import compare_runs  # torch is imported only where needed
    from frame_train.terminal import print_differences

    directories, differences = compare_runs(flags.run)
    print_differences(directories, differences)
    if flags.page is not None:
        from frame_train.comparison.page import write_comparison

        letters = [chr(ord("A") + index) for index in range(len(directories))]
        try:
            write_comparison(flags.page, dict(zip(letters, directories)), differences)
        except OSError as error:
            raise CompositionError(f"`--page`: {str(flags.page)!r} can't be written: {error.strerror}.") from error
        print_notice(f"The page is {flags.page}")


def _clean(flags: argparse.Namespace) -> int:
    root, runs = _read_runs(flags.root)
    removable = list_removable(select(runs, flags.filter), is_filtered=bool(flags.filter))
    if not removable:
        print_notice(f"There is nothing to remove below {str(root)!r}.")
        return 0
    failures = 0
    for run in removable:
        try:
            megabytes = measure(run.directory) / 1e6
            if flags.yes:
                remove(run.directory, root)
        except (OSError, CompositionError) as error:
            print_error(f"{str(run.directory)!r} can't be removed: {error}")
            failures += 1
        else:
            verb = "removed" if flags.yes else "would remove"
            print_notice(f"{verb} {run.directory} ({run.status}, {megabytes:.1f} MB)")
    if not flags.yes:
        print_notice(f"`runs clean --yes` removes {'it' if len(removable) == 1 else f'these {len(removable)} runs'}.")
    return 1 if failures else 0
