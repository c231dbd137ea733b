"""Download of a run from Weights & Biases, through the artifact of a checkpoint."""

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
from frame_train.files import made_folder, without_local_settings

TIMEOUT = 15
"""Seconds to wait for the server's answer."""

N_RUNS = 200
"""Number of newest runs of a project that are searched for a similar name."""


def download_run(run_path: str, weights: str, directory: Path) -> Path:
    """Download a checkpoint of a run and its description, and return them as a run directory.

    The directory is ``<directory>/<entity>/<project>/<run id>-<weights>-<version>``. It appears complete or not at all.
    An existing one is not downloaded again. A `WandbLogger` can continue the run from it.

    Args:
        run_path: The run, as ``entity/project/run_id``.
        weights: The checkpoint: ``best``, ``last``, or the name of a periodic one, ``step-00001000``.
        directory: The folder for downloaded runs.

    Raises:
        CompositionError: The run or checkpoint does not exist, an old version uploaded only its weights, W&B can't be
            reached or refuses the credentials, or the directory can't be written.
    """
    parts, directory = run_path.split("/"), directory.absolute()
    if len(parts) != 3 or {"", ".", ".."} & set(parts):
        raise CompositionError(f"A run on W&B must be named as `entity/project/run_id`, got {run_path!r}.")
    try:
        with without_local_settings(), _quiet_wandb():
            api = _connect()
            artifact = _find_artifact(api, run_path, weights)
            return _lay_out(artifact, run_path, weights, directory)
    except CompositionError:
        raise
    except (CommError, WandbApiFailedError, OSError, ValueError) as error:
        raise CompositionError(
            f"{run_path!r} can't be downloaded from W&B to {str(directory)!r}: {_first_line(error)}."
        ) from error


@contextlib.contextmanager
def _quiet_wandb() -> Generator[None]:
    """Silence wandb and keep its folders in a temporary directory, which is removed afterwards."""
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
        raise CompositionError(f"W&B's mode must be 'online' to download a run, got {mode!r}. Set `WANDB_MODE=online`.")
    url = wandb.setup().settings.base_url
    try:
        if not wandb.login(prompt=False, verify=False):
            raise CompositionError(f"There are no credentials for W&B at {url}. `wandb login` stores them.")
        return wandb.Api(timeout=TIMEOUT)
    except AuthenticationError as error:
        cause = error.__cause__
        if isinstance(cause, WandbApiFailedError) and cause.response is None:
            raise CompositionError(f"W&B at {url} did not answer within {TIMEOUT} seconds.") from error
        raise CompositionError(
            f"W&B refuses the credentials: {_first_line(error)}. `wandb login --relogin` replaces them."
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
    """Explain which part of a run's path does not exist, and suggest the nearest name that does."""
    try:
        projects = [item.name for item in api.projects(entity)]
    except ValueError:  # wandb's answer to an unknown entity
        projects = []
    if not projects:
        return f"W&B lists no project of {entity!r}.{suggest(entity, filter(None, [api.default_entity]))}"
    if project not in projects:
        return f"On W&B, {entity!r} has no project {project!r}.{suggest(project, projects)}"
    runs = list(islice(api.runs(f"{entity}/{project}", order="-created_at"), N_RUNS))
    named = [run.id for run in runs if run.name == run_id]
    hint = f" {run_id!r} is the name of run `{named[0]}`." if named else suggest(run_id, [run.id for run in runs])
    newest = ", ".join(f"{run.id} ({run.name})" for run in runs[:3]) or "none"
    return f"On W&B, {entity}/{project} has no run {run_id!r}; its newest: {newest}.{hint}"


def _lay_out(artifact: wandb.Artifact, run_path: str, weights: str, directory: Path) -> Path:
    """Download the files of an artifact, verify them, and create the run directory from them in one step."""
    entity, project, run_id = run_path.split("/")
    target = directory / entity / project / f"{run_id}-{weights}-{artifact.version}"
    if target.is_dir():
        return target
    files = artifact.manifest.entries
    if "config.yaml" not in files:
        raise CompositionError(
            f"The artifact {artifact.qualified_name!r} has no `config.yaml`: an old version uploaded only the weights. "
            f"`wandb artifact get {artifact.qualified_name}` downloads them."
        )
    leading = [name for name in files if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts]
    if leading or weights != Path(weights).name:
        raise CompositionError(
            f"The artifact {artifact.qualified_name!r} is not downloaded: its file {(leading or [weights])[0]!r} would "
            "be outside its folder."
        )
    places = {"checkpoint.ckpt": f"checkpoints/{weights}.ckpt"} | {name: name for name in DESCRIPTION_FILES}
    with made_folder(target.parent), tempfile.TemporaryDirectory(dir=target.parent, prefix=".") as temporary:
        downloaded, complete = Path(temporary, "downloaded"), Path(temporary, "complete")
        artifact.download(root=str(downloaded), skip_cache=True)
        artifact.verify(root=str(downloaded))
        (complete / "checkpoints").mkdir(parents=True)
        for name in places.keys() & files.keys():
            (downloaded / name).rename(complete / places[name])
        write_wandb_run(complete, WandbRun(entity, project, run_id))
        complete.rename(target)
    return target


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
