"""A run that is on Weights & Biases, brought to this machine through its artifact."""

import contextlib
import os
import tempfile
from collections.abc import Generator
from itertools import islice
from pathlib import Path, PurePosixPath

import wandb
from wandb.apis.public.runs import RunNotFoundError
from wandb.errors import AuthenticationError, CommError
from wandb.sdk.lib.service.service_connection import WandbApiFailedError

from frame_loggers.wandb import DESCRIPTION_FILES, read_mode
from frame_loggers.wandb_run import WandbRun, write_wandb_run
from frame_loggers.wandb_service import close_wandb
from frame_train.errors import CompositionError, suggest
from frame_train.files import made_folder

TIMEOUT = 15
"""Seconds that an answer of the server is waited for."""

N_RUNS = 200
"""How many of a project's newest runs are searched for the one that was meant."""


def download_run(run_path: str, weights: str, directory: Path) -> Path:
    """Download a checkpoint of a run with what describes the run, and lay it out as a run directory.

    It is ``<directory>/<entity>/<project>/<run id>-<weights>-<version>``, there whole or not at all; one that
    is there already is given as it is. A `WandbLogger` on it can continue the run.

    Args:
        run_path: The run, as ``entity/project/run_id``.
        weights: Which checkpoint: ``best``, ``last``, or the name of a periodic one, ``step-00001000``.
        directory: Where downloaded runs are kept.

    Raises:
        CompositionError: There is no such run or checkpoint, it is of a version that kept the weights alone, W&B
            can't be reached or refuses the credentials, or the directory can't be written.
    """
    parts = run_path.split("/")
    if len(parts) != 3 or {"", ".", ".."} & set(parts):
        raise CompositionError(f"A run on W&B is named as `entity/project/run_id`, got {run_path!r}.")
    try:
        with _quiet_wandb():
            api = _connect()
            artifact = _find_artifact(api, run_path, weights)
            return _lay_out(artifact, run_path, weights, directory)
    except CompositionError:
        raise
    except (CommError, WandbApiFailedError, OSError, ValueError) as error:
        raise CompositionError(
            f"{run_path!r} can't be loaded from W&B to {directory}: {_first_line(error)}."
        ) from error


@contextlib.contextmanager
def _quiet_wandb() -> Generator[None]:
    """Keep wandb off the terminal, and its folders out of the home and the temporary directory; then forget all."""
    with tempfile.TemporaryDirectory() as temporary:
        variables = {"WANDB_SILENT": "true"} | dict.fromkeys(
            ("WANDB_DIR", "WANDB_DATA_DIR", "WANDB_CACHE_DIR"), temporary
        )
        before = {name: os.environ.get(name) for name in variables}
        os.environ.update(variables)
        try:
            yield
        finally:
            if wandb.run is None:
                close_wandb()
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value


def _connect() -> wandb.Api:
    try:
        mode = read_mode()
    except ValueError as error:
        raise CompositionError(str(error)) from error
    if mode in ("offline", "dryrun", "disabled"):
        raise CompositionError(f"W&B's mode is {mode!r}: a run can be loaded from it with `WANDB_MODE=online`.")
    url = wandb.setup().settings.base_url
    try:
        if not wandb.login(prompt=False, verify=False):
            raise CompositionError(f"There are no credentials for W&B at {url}: `wandb login` stores them.")
        return wandb.Api(timeout=TIMEOUT)
    except AuthenticationError as error:
        cause = error.__cause__
        if isinstance(cause, WandbApiFailedError) and cause.response is None:
            raise CompositionError(f"W&B at {url} did not answer within {TIMEOUT} seconds.") from error
        raise CompositionError(
            f"The credentials for W&B can't be used: {_first_line(error)}; `wandb login --relogin` stores others."
        ) from error


def _find_artifact(api: wandb.Api, run_path: str, weights: str) -> wandb.Artifact:
    """Find the newest version of a checkpoint."""
    try:
        run = api.run(run_path)
    except CommError as error:
        if not isinstance(error.exc, RunNotFoundError):
            raise
        raise CompositionError(_explain_missing_run(api, *run_path.split("/"))) from error
    prefix = f"checkpoint-{run.id}-"
    newest = {
        artifact.name.partition(":")[0].removeprefix(prefix): artifact
        for artifact in sorted(run.logged_artifacts(), key=_get_version)
        if artifact.name.startswith(prefix) and artifact.state == "COMMITTED"
    }
    if weights not in newest:
        there = ", ".join(map(repr, newest)) or "none"
        raise CompositionError(
            f"{run_path!r} has no checkpoint {weights!r} on W&B; it has {there}.{suggest(weights, newest)}"
        )
    return newest[weights]


def _get_version(artifact: wandb.Artifact) -> int:
    return int(artifact.version.removeprefix("v"))


def _explain_missing_run(api: wandb.Api, entity: str, project: str, run_id: str) -> str:
    """Say which part of a run's path names nothing, and what is nearest to it."""
    try:
        projects = [item.name for item in api.projects(entity)]
    except ValueError:  # what wandb makes of an entity that is not there
        projects = []
    if not projects:
        return f"W&B shows no project of {entity!r}.{suggest(entity, filter(None, [api.default_entity]))}"
    if project not in projects:
        return f"On W&B, {entity!r} has no project {project!r}.{suggest(project, projects)}"
    runs = list(islice(api.runs(f"{entity}/{project}", order="-created_at"), N_RUNS))
    named = [run.id for run in runs if run.name == run_id]
    hint = f" It is the name of `{named[0]}`." if named else suggest(run_id, [run.id for run in runs])
    newest = ", ".join(f"{run.id} ({run.name})" for run in runs[:3]) or "none"
    return f"On W&B, {entity}/{project} has no run {run_id!r}; its newest: {newest}.{hint}"


def _lay_out(artifact: wandb.Artifact, run_path: str, weights: str, directory: Path) -> Path:
    """Download the files of an artifact, check them, and move them to their places all at once."""
    entity, project, run_id = run_path.split("/")
    target = directory / entity / project / f"{run_id}-{weights}-{artifact.version}"
    if target.is_dir():
        return target
    files = artifact.manifest.entries
    if "config.yaml" not in files:
        raise CompositionError(
            f"The artifact {artifact.qualified_name!r} has no `config.yaml`: an older version kept the weights alone, "
            f"which `wandb artifact get {artifact.qualified_name}` downloads."
        )
    leading = [name for name in files if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts]
    if leading or weights != Path(weights).name:
        message = f"The artifact {artifact.qualified_name!r} is not of a run: it leads out of its folder"
        raise CompositionError(f"{message} by {(leading or [weights])[0]!r}; nothing of it is downloaded.")
    places = {"checkpoint.ckpt": f"checkpoints/{weights}.ckpt"} | {name: name for name in DESCRIPTION_FILES}
    with made_folder(target.parent), tempfile.TemporaryDirectory(dir=target.parent, prefix=".") as temporary:
        downloaded, whole = Path(temporary, "downloaded"), Path(temporary, "whole")
        artifact.download(root=str(downloaded), skip_cache=True)
        artifact.verify(root=str(downloaded))
        (whole / "checkpoints").mkdir(parents=True)
        for name in places.keys() & files.keys():
            (downloaded / name).rename(whole / places[name])
        write_wandb_run(whole, WandbRun(entity, project, run_id))
        whole.rename(target)
    return target


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
