"""The study of a search in its storage, which several processes can share."""

import contextlib
import fcntl
import os
import time
import warnings
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning, OptunaError
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback, fail_stale_trials
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from frame_train.composition.objects import Composition
from frame_train.console import print_notice
from frame_train.errors import CompositionError, TrainingError
from frame_train.files import made_folder
from frame_train.search.file import Search

_GRACE = 60  # seconds without a heartbeat after which a trial counts as killed
_HEARTBEAT = 10  # seconds between two heartbeats
_MAX_RETRIES = 3  # of a trial whose process is killed
_PATIENCE = 60.0  # seconds that a process waits for another one to write a SQLite file
_DEFINITION = "search"


class FailedTrialError(Exception):
    """Trial that has failed and whose error has been reported; the search continues."""


def open_study(search: Search, folder: Path, mode: str, definition: Mapping[str, Any]) -> optuna.Study:
    """Open the study of a search, or create it.

    Args:
        search: The search.
        folder: The folder of the search, which contains its storage unless that has a URL.
        mode: Whether the monitored metric is maximized (``max``) or minimized (``min``).
        definition: What must be the same whenever the search is continued.

    Raises:
        CompositionError: The storage can't be opened, the sampler or the pruner can't be built, or the study has
            another definition.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    url = search.storage or URL.create("sqlite", database=str(folder / "study.db")).render_as_string()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        sampler, pruner = _build_components(search)
        with _prepared(folder), _explained(url):
            study = optuna.create_study(
                storage=_open_storage(url),
                study_name=search.study,
                sampler=sampler,
                pruner=pruner,
                direction="minimize" if mode == "min" else "maximize",
                load_if_exists=True,
            )
            before = study.user_attrs.get(_DEFINITION)
            if before is None:
                study.set_user_attr(_DEFINITION, dict(definition))
    for key, value in definition.items():
        if before is not None and before.get(key) != value:
            raise CompositionError(
                f"`search`: the study {search.study!r} has {key} {before.get(key)!r}, got {value!r}. "
                "Name a new study with `search.study=…`."
            )
    return study


def run_trials(study: optuna.Study, n_trials: int, objective: Callable[[optuna.Trial], float]) -> None:
    """Run trials until a study has a number of them, of all processes together.

    Trials of killed processes are tried again. If only the trials of other processes are left, it waits for signs of
    life of those processes.

    Raises:
        TrainingError: The storage can't be used any more.
    """
    try:
        _run_trials(study, n_trials, objective)
    except (SQLAlchemyError, OptunaError) as error:
        reason = str(error.__cause__ or error).splitlines()[0].rstrip(".")
        raise TrainingError(f"The storage of the search can't be used: {reason}.") from error


def _run_trials(study: optuna.Study, n_trials: int, objective: Callable[[optuna.Trial], float]) -> None:
    deadline = None
    while True:
        n_done = len(list_done(study))
        n_running = len(study.get_trials(deepcopy=False, states=[TrialState.RUNNING]))
        if n_done >= n_trials:
            return
        if n_done + n_running < n_trials:
            study.optimize(objective, n_trials=1, catch=(FailedTrialError,))
            deadline = None
            continue
        now = time.monotonic()
        deadline = deadline or now + _GRACE + _HEARTBEAT
        if now > deadline:
            print_notice(f"{n_running} trials are still running in other processes")
            return
        time.sleep(1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            fail_stale_trials(study)


def retry(study: optuna.Study, number: int) -> None:
    """Add a trial that continues the run of a stopped one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        again = RetryHeartbeatStaleTrialCallback(inherit_intermediate_values=True)
    again(study, study.trials[number])


def list_done(study: optuna.Study) -> Sequence[FrozenTrial]:
    """Return the trials that are complete, pruned or failed, except those that another trial continues."""
    trials = study.get_trials(deepcopy=False)
    continued = {number for trial in trials for number in trial.system_attrs.get("retry_history", [])}
    return [trial for trial in trials if trial.state.is_finished() and trial.number not in continued]


@contextlib.contextmanager
def _explained(url: str) -> Generator[None]:
    """Explain errors of the storage, without its password."""
    try:
        yield
    except (SQLAlchemyError, OptunaError, ImportError, RuntimeError) as error:
        reason = (str(error.__cause__ or error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        hint = ""
        if isinstance(error, ArgumentError):
            hint = " A file has the URL 'sqlite:///PATH'."
        if isinstance(error, ImportError | NoSuchModuleError):
            hint = " Install the driver of the database."
        raise CompositionError(f"`search.storage`: {_hide_password(url)!r} can't be opened: {reason}.{hint}") from error


def _open_storage(url: str) -> RDBStorage:
    return RDBStorage(
        url,
        engine_kwargs={"connect_args": {"timeout": _PATIENCE}} if url.startswith("sqlite") else None,
        heartbeat_interval=_HEARTBEAT,
        grace_period=_GRACE,
        heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(
            max_retry=_MAX_RETRIES, inherit_intermediate_values=True
        ),
    )


@contextlib.contextmanager
def _prepared(folder: Path) -> Generator[None]:
    """Make the folder of a search, and lock it, because two processes can't create the tables of a storage at once."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(made_folder(folder))
            lock = os.open(folder, os.O_RDONLY)
        except OSError as error:
            message = f"`device.experiments_root`: {str(folder)!r} can't be written: {error.strerror}."
            raise CompositionError(message) from error
        stack.callback(os.close, lock)
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build_components(search: Search) -> tuple[optuna.samplers.BaseSampler | None, optuna.pruners.BasePruner]:
    """Build the sampler, None for the default one, and the pruner, which by default prunes nothing."""
    composition = Composition()
    sampler = composition.instantiate(search.config.search.sampler)
    pruner = composition.instantiate(search.config.search.pruner)
    _check(sampler, optuna.samplers.BaseSampler, "sampler")
    _check(pruner, optuna.pruners.BasePruner, "pruner")
    return sampler, pruner or optuna.pruners.NopPruner()


def _check(component: Any, kind: type, name: str) -> None:
    if component is not None and not isinstance(component, kind):
        raise CompositionError(
            f"`search.{name}` must be a {kind.__name__} of Optuna, got {component!r}. Name its class as `_target_`."
        )


def _hide_password(url: str) -> str:
    try:
        return make_url(url).render_as_string(hide_password=True)
    except SQLAlchemyError:
        return url
