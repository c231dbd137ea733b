"""The flag `--search` of the command `train`: a search for good hyper-parameters."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from frame_train.api import check_statically
from frame_train.commands.exit_codes import get_exit_code
from frame_train.composition.command_line.overrides import split_folders
from frame_train.composition.compose import compose_config, prepare_config
from frame_train.composition.explanation import explained
from frame_train.console import print_notice
from frame_train.errors import CompositionError, collected, raise_any
from frame_train.search.file import Search, read_search
from frame_train.search.space import list_samples

if TYPE_CHECKING:
    from optuna import Study


def search(path: str, arguments: Sequence[str]) -> int:
    """Run or continue a search, print its best trials, and return the exit code.

    Args:
        path: The file of the search.
        arguments: The command line.

    Raises:
        CompositionError: The file, the config or the storage has a mistake, or Optuna is not installed.
    """
    if not path:
        raise CompositionError("`--search` needs the file of a search, such as `--search space.yaml`.")
    _, others = split_folders(arguments)
    wrong = [word for word in others if word.startswith(("resume=", "hydra.", "hydra/", "-"))]
    if wrong:
        hint = " The same command continues a search." if wrong[0].startswith("resume=") else ""
        raise CompositionError(f"`--search` can't have `{wrong[0]}`.{hint}")
    settings = read_search(Path(path), arguments)
    metric, mode, root = _check_samples(settings)
    try:
        import optuna as _  # noqa: F401  # an extra
    except ModuleNotFoundError as error:
        message = "`--search` needs Optuna. Run `uv sync --extra search` or `pip install frame-train[search]`."
        raise CompositionError(message) from error
    from frame_train.search.study import open_study, retry, run_trials
    from frame_train.search.trial import Objective, StoppedTrialError

    folder = root / "searches" / settings.study
    study = open_study(settings, folder, mode, _define(settings, metric, mode))
    code = 0
    try:
        run_trials(study, settings.n_trials, Objective(settings.parameters, settings.arguments, metric))
    except StoppedTrialError as error:
        retry(study, error.number)
        print_notice("the same command continues the search")
        code = get_exit_code(error.result)
    n_complete = _report(study, metric, folder)
    return code or (0 if n_complete else 1)


def _check_samples(settings: Search) -> tuple[str, str, Path]:
    """Check the config with each choice and both ends of each range.

    Returns:
        The monitored metric, its mode, and the root of all runs.
    """
    with explained(settings.arguments):  # without an experiment, the config has no parameter
        prepare_config(compose_config(settings.arguments), settings.arguments)
    problems: list[CompositionError] = []
    config = None
    for overrides in list_samples(settings.parameters):
        line = [*settings.arguments, *overrides]
        with collected(problems), explained(line):
            config = compose_config(line)
            check_statically(config, line, notify=lambda notice: None)  # each trial prints its own
    raise_any(problems)
    assert config is not None  # a parameter has at least one value
    if config.monitor.metric is None:
        raise CompositionError("`monitor.metric` is missing. Name the metric to optimize.")
    return config.monitor.metric, config.monitor.mode, Path(config.device.experiments_root)


def _define(settings: Search, metric: str, mode: str) -> dict[str, Any]:
    """Return what must be the same whenever a search is continued. Another machine may have other settings."""
    arguments = [word for word in settings.arguments if not re.match(r"\+*device[.=]", word)]
    return {"metric": metric, "mode": mode, "arguments": arguments, "parameters": settings.content}


def _report(study: "Study", metric: str, folder: Path) -> int:
    """Write the results of a search, print the best trials, and return the number of complete ones."""
    from frame_train.search.results import list_results, print_results, write_results
    from frame_train.search.study import list_done

    rows = list_results(list_done(study), metric, study.direction.name == "MAXIMIZE")
    write_results(folder, rows, metric)
    print_results(rows, metric)
    print_notice(f"{len(rows)} trials; the results are in {folder}")
    return sum(row["state"] == "complete" for row in rows)
