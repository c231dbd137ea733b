"""The flags `--check` and `--check-all` of the command `train`, which report all mistakes without training."""

import json
import re
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf

from frame_train.commands.grid import list_jobs
from frame_train.composition.command_line.overrides import is_multirun, is_override, own_folders
from frame_train.composition.compose import compose_what_can_be, prepare_config
from frame_train.composition.explanation import explain, explained
from frame_train.composition.objects import Composition, iterate_keys
from frame_train.composition.options import read_options
from frame_train.composition.origins import locate
from frame_train.composition.settings import config_directory, recorded_environment, workspace
from frame_train.errors import CompositionError, collected, suggest
from frame_train.experiment.check import Findings, check_config
from frame_train.experiment.compatibility import find_unlogged
from frame_train.experiment.static_checks import find_static_problems
from frame_train.experiment.unread import find_unread
from frame_train.terminal import print_checked, quiet_libraries


def check(arguments: Sequence[str], as_json: bool = False) -> int:
    """Check the config of a command line, or all jobs of a grid; print the mistakes, and return the exit code.

    Args:
        arguments: The command line.
        as_json: Whether to print a JSON object with lists of ``mistakes`` and ``notes``.
    """
    if is_multirun(arguments):
        return _report("This grid", partial(_check_grid, arguments), as_json)
    return _report("This config", partial(check_arguments, arguments), as_json)


def check_all(arguments: Sequence[str]) -> int:
    """Check every experiment with every logger, and every sweep file; print the mistakes, and return the exit code.

    Args:
        arguments: Overrides for all of them, and flags such as ``--config-dir``.
    """
    experiments = read_options("experiment", [*own_folders(arguments), config_directory()])
    sweeps = sorted((workspace() / "apps" / "train" / "sweeps").glob("*.yaml"))
    codes = [
        *(_report(name, partial(_check_with_loggers, [*arguments, f"experiment={name}"])) for name in experiments),
        *(_report(path.name, partial(check_sweep, path, arguments)) for path in sweeps),
    ]
    return max(codes)


@quiet_libraries()
def check_arguments(arguments: Sequence[str]) -> Findings:
    """Find all mistakes in the config of a command line, with their origins.

    Args:
        arguments: The command line.
    """
    config, errors = compose_what_can_be(arguments)
    findings = Findings()
    if not errors or not OmegaConf.is_missing(config, "optimization"):  # else there is no experiment to check
        with tempfile.TemporaryDirectory() as directory, collected(findings.problems):
            notes = prepare_config(config, arguments)
            unread, notices = find_unread(config, arguments) if not errors else ([], [])
            config.run.directory = directory
            findings = check_config(config)
            findings.problems += unread
            findings.notes += [*notes, *notices]
    findings.problems = [*_explain_all(errors, arguments), *locate(findings.problems, config, arguments)]
    return findings


def check_sweep(path: Path, arguments: Sequence[str] = ()) -> Findings:
    """Find all mistakes in a sweep file: in its experiment, its metric and its keys.

    Args:
        path: The file.
        arguments: Further overrides and flags.
    """
    sweep = cast(dict[str, Any], OmegaConf.to_container(OmegaConf.load(path), resolve=False))
    words = [str(word) for word in sweep.get("command", ())]
    swept = {key: _choose_value(entry) for key, entry in sweep.get("parameters", {}).items()}
    chosen = [*arguments, *(word for word in words if "=" in word and "{" not in word)]
    config, _ = compose_what_can_be(chosen)
    known = [key for key in swept if _has(config, key)]
    problems = [
        CompositionError(f"`{path.name}`: the config has no key `{key}`.{suggest(key, iterate_keys(config))}")
        for key in swept
        if key not in known
    ]
    chosen += [f"{key}={swept[key]}" for key in known]
    findings = check_arguments(chosen)
    metric = str(sweep.get("metric", {}).get("name"))
    if metric == "None":
        problems.append(CompositionError(f"`{path.name}`: `metric.name` is missing. Name the metric to optimize."))
    else:
        problems += find_unlogged(f"{path.name}: metric.name", metric, findings.logged)
    findings.problems = [*problems, *findings.problems]
    return findings


def _check_grid(arguments: Sequence[str]) -> Findings:
    """Find all mistakes in the configs of the jobs of a grid. Those of several jobs are listed once."""
    flags = [word for word in arguments if not is_override(word)]
    with explained(arguments):
        jobs = list_jobs(arguments)
    found = [check_arguments([*flags, *overrides]) for overrides in jobs]
    notes = list(dict.fromkeys(note for findings in found for note in findings.notes))
    return Findings([problem for findings in found for problem in findings.problems], notes)


def _check_with_loggers(arguments: Sequence[str]) -> Findings:
    """Find all mistakes in the config of a command line, with each choice of loggers."""
    findings = check_arguments(arguments)
    for logging in read_options("logging", [*own_folders(arguments), config_directory()]):
        findings.problems += _check_with_logger([*arguments, f"logging={logging}"])
    return findings


def _check_with_logger(arguments: Sequence[str]) -> list[CompositionError]:
    """Find mistakes in the loggers of a command line, without building the rest."""
    config, errors = compose_what_can_be(arguments)
    with tempfile.TemporaryDirectory() as directory:
        with collected([]):  # its mistakes are among those of the config
            prepare_config(config, arguments)
        config.run.directory = directory
        problems = find_static_problems(config)
        with collected(problems):
            Composition().instantiate(config.logger)
    return [*_explain_all(errors, arguments), *locate(problems, config, arguments)]


def _explain_all(errors: Sequence[Exception], arguments: Sequence[str]) -> list[CompositionError]:
    return [CompositionError(explain(error, arguments)) for error in errors]


def _report(what: str, find: Callable[[], Findings], as_json: bool = False) -> int:
    """Find and print the mistakes and notes, and return the exit code."""
    start = time.monotonic()
    with recorded_environment() as environment:
        findings = find()
    problems = list(dict.fromkeys(environment.hide(explain(problem, ())) for problem in findings.problems))
    if as_json:
        mistakes = [{"key": _find_key(problem), "message": problem} for problem in problems]
        print(json.dumps({"mistakes": mistakes, "notes": findings.notes}, indent=2))  # noqa: T201
    else:
        print_checked(what, problems, findings.notes, time.monotonic() - start)
    return 2 if problems else 0


def _find_key(message: str) -> str | None:
    """Return the key that a message names first."""
    match = re.search(r"`\+?([\w./@]+)(?:=.*?)?`", message)
    return match and match[1]


def _choose_value(entry: Any) -> Any:
    """Return one of the values of a swept parameter."""
    match entry:
        case {"value": value} | {"values": [value, *_]} | {"min": value} | {"mu": value}:
            return value
        case _:
            return None


def _has(config: DictConfig, key: str) -> bool:
    parent = OmegaConf.select(config, key.rpartition(".")[0]) if "." in key else config
    return isinstance(parent, DictConfig) and key.rpartition(".")[2] in parent
