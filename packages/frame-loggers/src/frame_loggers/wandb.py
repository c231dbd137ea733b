"""Entries on Weights & Biases, with an account or, offline, without."""

import html
import json
import logging
import os
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers.wandb import WandbLogger as LightningWandbLogger
from pytorch_lightning.utilities import rank_zero_only
from typing_extensions import override

from frame_core import EntryType, LogEntry, name_numbers
from frame_loggers.conversion import GLOBAL_STEP, make_bins, make_picture, make_plain, prefix_counters
from frame_loggers.file import SECONDS
from frame_loggers.wandb_run import WandbRun, read_wandb_run, write_wandb_run

try:
    import wandb
except ModuleNotFoundError as error:
    if error.name != "wandb":
        raise
    raise ModuleNotFoundError(
        "`WandbLogger` needs wandb: `pip install frame-loggers[wandb]`.", name=error.name
    ) from None

from wandb.errors import AuthenticationError, CommError, Error, UsageError
from wandb.sdk import wandb_setup

from frame_loggers.wandb_service import close_wandb

INIT_TIMEOUT = 15.0
"""Seconds that a run waits for the server when it starts."""

FINISH_TIMEOUT = 300.0
"""Seconds that a run waits for the last upload when it ends."""

DESCRIPTION_FILES = ("config.yaml", "overrides.yaml", "run.json", "metrics.jsonl")
"""What a run directory tells about its run: as far as they are there, they go into the artifact of each checkpoint."""

_OF_FILES = (GLOBAL_STEP, "time", SECONDS)  # on a line of `metrics.jsonl`, and no part of an entry here

_MODES = ("online", "offline", "dryrun", "disabled", "shared", "run")

_log = logging.getLogger("frame_loggers")


class WandbLogger(LightningWandbLogger):
    """Logs to Weights & Biases; without credentials or a server it logs offline, and says so in one line.

    It never asks for a key and never waits for one. ``WANDB_MODE`` is respected (``online``, ``offline`` or
    ``disabled``), and so is a sweep, whose project and run come from its agent. `finalize` ends the run;
    what is logged afterwards is a continuation of it. Which run it is stands in ``<directory>/wandb/run.json``
    once it has started; `frame_loggers.wandb_run.read_wandb_run` reads it.

    Args:
        project: Project that the run belongs to.
        name: Name by which a new run is shown.
        directory: All files of the run are written to ``<directory>/wandb``; so are those that wandb would
            put in the home directory, unless ``WANDB_DATA_DIR`` and ``WANDB_CACHE_DIR`` say where.
        run_id: The run to continue; None for a new one. Where the directory is that of the run, the project
            and the entity are those it had. A run that the server does not know, because it was logged
            offline, is continued offline.

    Raises:
        ValueError: The credentials are malformed. Nothing is written then.
    """

    def __init__(
        self,
        project: str,
        name: str,
        directory: str | Path,
        run_id: str | None = None,
    ) -> None:
        directory = Path(directory).absolute()
        entity = None
        known = read_wandb_run(directory)
        if known is not None and known.id == run_id:
            entity, project = known.entity, known.project
        _set_wandb_environment(directory / "wandb")
        mode, self._why_offline = _choose_mode()
        super().__init__(
            entity=entity,
            project=project,
            name=name if run_id is None else None,  # a run that was renamed on its page keeps that name
            id=run_id,
            resume="allow" if run_id is None else "must",
            save_dir=directory,
            mode=mode,
            settings=wandb.Settings(
                console="off",
                silent=True,
                init_timeout=INIT_TIMEOUT,
                finish_timeout=FINISH_TIMEOUT,
                finish_timeout_raises=True,
            ),
        )
        self._position: int | None = None
        self._n_entries: int | None = None
        self._lines: list[dict[str, Any]] = []
        self._there: list[dict[str, Any]] = []
        del self._wandb_init["anonymous"]  # wandb warns about it, whatever its value
        self._in_sweep = wandb_setup.singleton().settings.sweep_id is not None
        if self._in_sweep:  # they come from the agent
            del self._wandb_init["project"], self._wandb_init["id"]

    @property
    @override
    def experiment(self) -> Any:
        """The run of wandb's, started when it is first asked for."""
        if self._experiment is None:
            self._start()
        return super().experiment

    @rank_zero_only
    def log(
        self,
        name: str,
        log_entry: LogEntry,
        global_step: int | None = None,
        counters: Mapping[str, int] | None = None,
    ) -> None:
        """Log one entry, as `frame_core.EntryLogger` says."""
        self.log_metrics({**_make_values(name, log_entry), **prefix_counters(counters)}, global_step)

    @override
    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        run = self.experiment  # starts it
        self._n_entries = (self._n_entries or 0) + 1
        same = next((line for line in self._there if _is_of(line, metrics, step)), None)
        if same is not None:
            self._there.remove(same)
        elif run is not None:
            super().log_metrics(metrics, step)

    @rank_zero_only
    def get_position(self) -> dict[str, int]:
        """Tell how many entries there are."""
        assert self.experiment is not None  # which knows how many there were
        return {"entries": self._n_entries or 0}

    def cut_back(self, position: Mapping[str, int]) -> None:
        """Go on after a position: what the server has of what came after it is not sent again, what it lacks is.

        W&B takes nothing back: of what a resumed training logs again, entries that are there, by step and names, are
        left out. What had not been sent when a process was killed is sent now, as ``metrics.jsonl`` in the directory
        has it, which is read here and must not be cut back before. Offline, nobody knows what is there: entries that
        came after the position stand twice, with the same steps.
        """
        self._position = position["entries"]
        path = Path(self._wandb_init["dir"], "metrics.jsonl")
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        self._lines = [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]

    @rank_zero_only
    def log_checkpoint(self, path: Path, name: str) -> None:
        """Keep a checkpoint as a version of the artifact ``checkpoint-<run id>-<name>``, online or off.

        Where the server can't be asked, that is told, and the checkpoint stays where it is.

        With it, as far as they are in the run's directory, go the `DESCRIPTION_FILES`.

        Args:
            path: The file.
            name: What it is, such as ``best``.
        """
        artifact = wandb.Artifact(f"checkpoint-{self.experiment.id}-{name}", type="model")
        artifact.add_file(str(path), name="checkpoint.ckpt")
        for file in (Path(self._wandb_init["dir"], name) for name in DESCRIPTION_FILES):
            if file.is_file():
                artifact.add_file(str(file))
        try:
            self.experiment.log_artifact(artifact, aliases=["latest", name])
        except (Error, TimeoutError) as error:  # the checkpoint is in the run directory
            reason = str(error).partition("\n")[0]
            _log.warning("W&B: %s can't be kept as an artifact: %s", path.name, reason)

    @override
    @rank_zero_only
    def finalize(self, status: str) -> None:
        """End the run, so that its file is whole and the next logger starts a run of its own."""
        super().finalize(status)
        if self._experiment is None:
            return
        run, self._experiment = self._experiment, None
        self._id = run.id
        if not self._in_sweep:
            self._wandb_init.update(id=run.id, name=None, resume="allow")
        try:
            run.finish(exit_code=0 if status == "success" else 1)
        except TimeoutError:
            _log.warning(
                "W&B: the upload did not end in %g seconds; `%s` uploads the rest.",
                FINISH_TIMEOUT,
                _sync_command([run.settings.sync_dir]),
            )
        if wandb.run is None:
            close_wandb()  # the last records of a run are written only now

    @rank_zero_only
    def _start(self) -> None:
        if self._wandb_init["mode"] != "disabled":  # wandb complains about a directory that isn't there
            os.makedirs(self._wandb_init["dir"], exist_ok=True)
        try:
            run = super().experiment
        except AuthenticationError:
            raise
        except CommError as error:
            run = self._start_offline(f"the server could not be reached ({str(error).splitlines()[0]})")
        except UsageError:
            if self._wandb_init["resume"] != "must":
                raise
            run = self._start_offline(f"the server has no run {self._id!r} to continue")
        if run.offline:
            _log.warning(
                "W&B: %s, so this run is logged offline; `%s login` logs in, `%s` uploads the run.",
                self._why_offline,
                _get_command(),
                _sync_command(_list_offline_directories(run)),
            )
        elif self._position is not None:
            n_there = run.starting_step  # the run's `step` is 0 until something is logged
            for line in self._lines[n_there : self._position]:
                super().log_metrics(_restore_values(line, Path(self._wandb_init["dir"])), line[GLOBAL_STEP])
            self._there = self._lines[self._position : n_there]
        if self._n_entries is None:
            self._n_entries = self._position if self._position is not None else run.starting_step
        self._position = None
        if not run.disabled:
            directory = Path(self._wandb_init["dir"])
            write_wandb_run(directory, WandbRun(run.entity or None, run.project, run.id))

    def _start_offline(self, why: str) -> Any:
        """Start offline what could not be started online; wandb's service would hold the run's id as one in use."""
        self._why_offline = why
        self._wandb_init["mode"] = "offline"
        close_wandb()
        return super().experiment


def read_mode() -> str:
    """Give wandb's mode, from ``WANDB_MODE`` or its settings file.

    Raises:
        ValueError: ``WANDB_MODE`` is no mode.
    """
    if not os.environ.get("WANDB_MODE"):  # set to nothing, it is not set
        os.environ.pop("WANDB_MODE", None)
    elif os.environ["WANDB_MODE"] not in _MODES:
        raise ValueError(f"`WANDB_MODE` must be one of {', '.join(_MODES)}, got {os.environ['WANDB_MODE']!r}.")
    return os.environ.get("WANDB_MODE") or wandb_setup.singleton().settings.mode


def _choose_mode() -> tuple[str, str]:
    """Give wandb's mode and, for the offline one, the reason."""
    mode = read_mode()
    if mode in ("offline", "dryrun"):
        return "offline", "its mode is set to offline"
    if mode == "disabled" or _has_credentials():
        return mode, ""
    return "offline", "there are no credentials"


def _has_credentials() -> bool:
    try:
        return wandb.login(prompt=False, verify=False)
    except AuthenticationError as error:
        raise ValueError(
            f"The credentials for W&B can't be used: {error} "
            "`wandb login --relogin` stores others, `WANDB_MODE=offline` does without."
        ) from None


_own_variables: dict[str, str] = {}


def _set_wandb_environment(directory: Path) -> None:
    """Keep wandb quiet, and its files out of the home directory; what the user has set stays.

    For the staging of artifacts, tables among them, and for their cache wandb knows no other setting than
    these variables. An offline run refers to its staged files until it is uploaded: they belong beside it.
    """
    variables = {"WANDB_SILENT": "true", "WANDB_DATA_DIR": str(directory), "WANDB_CACHE_DIR": str(directory / "cache")}
    for variable, value in variables.items():
        if os.environ.get(variable) in (None, _own_variables.get(variable)):  # not set, or set for an earlier run
            os.environ[variable] = _own_variables[variable] = value


def _list_offline_directories(run: Any) -> list[str]:
    """List the directories that an offline run has written: one each time it was started, `-1`… in one second."""
    parent = Path(run.settings.sync_dir).parent
    pattern = rf"offline-run-[\d_]+-{re.escape(run.id)}(-\d+)?"
    return sorted(str(path) for path in parent.iterdir() if re.fullmatch(pattern, path.name))


def _sync_command(directories: Iterable[str]) -> str:
    return f"{_get_command()} sync {' '.join(map(shlex.quote, directories))}"


def _get_command() -> str:
    """Give how wandb is called where this program was: behind `uv run`, which sets the variable UV."""
    return "uv run wandb" if "UV" in os.environ else "wandb"


def _make_values(name: str, log_entry: LogEntry) -> dict[str, Any]:
    match log_entry.data_type:
        case EntryType.SCALAR | EntryType.SCALARS:
            return name_numbers(name, log_entry)
        case EntryType.IMAGE | EntryType.PLOT:
            return {name: wandb.Image(make_picture(log_entry))}  # of a float tensor it would make a black picture
        case EntryType.HISTOGRAM:
            bins = make_bins(log_entry.value)
            return {name: wandb.Histogram(np_histogram=(bins.counts.numpy(), bins.edges.numpy()))}
        case EntryType.TEXT:
            return {name: _make_html(log_entry.value)}
        case EntryType.TABLE:
            return {name: _make_table(log_entry.value)}


def _is_of(line: Mapping[str, Any], metrics: Mapping[str, Any], step: int | None) -> bool:
    """Say whether a line of ``metrics.jsonl`` is of an entry."""
    return line[GLOBAL_STEP] == step and set(line) - set(_OF_FILES) == set(metrics)


def _restore_values(line: Mapping[str, Any], directory: Path) -> dict[str, Any]:
    """Give what `_make_values` had given for a line of ``metrics.jsonl``."""
    return {name: _restore(value, directory) for name, value in line.items() if name not in _OF_FILES}


def _restore(value: Any, directory: Path) -> Any:
    match value:
        case "NaN" | "Infinity" | "-Infinity":
            return float(value)
        case str() if value.startswith("images/") and (directory / value).is_file():
            return wandb.Image(str(directory / value))
        case str():
            return _make_html(value)
        case {"edges": edges, "counts": counts, "non_finite": _}:
            return wandb.Histogram(np_histogram=(counts, edges))
        case dict():
            return _make_table(value)
        case _:
            return value


def _make_html(text: str) -> wandb.Html:
    return wandb.Html(f'<pre style="white-space: pre-wrap">{html.escape(text)}</pre>', data_is_not_path=True)


def _make_table(columns: Mapping[str, Sequence[Any]]) -> wandb.Table:
    rows = zip(*(_make_uniform(cells) for cells in columns.values()))
    return wandb.Table(columns=list(columns), data=[list(row) for row in rows])


def _make_uniform(cells: Sequence[Any]) -> list[Any]:
    """Give a column of one type, or of none: wandb refuses others."""
    plain = [make_plain(cell) for cell in cells]
    types = {float if type(cell) is int else type(cell) for cell in plain if cell is not None}
    return plain if len(types) <= 1 else [None if cell is None else str(cell) for cell in plain]
