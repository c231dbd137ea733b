"""Logger for Weights & Biases, online or offline."""

import html
import logging
import math
import os
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from PIL import Image
from pytorch_lightning.loggers.wandb import WandbLogger as LightningWandbLogger
from pytorch_lightning.utilities import rank_zero_only
from typing_extensions import override

from frame_core import EntryType, LogEntry, name_numbers
from frame_loggers.conversion import make_bins, make_pil_image, make_plain
from frame_loggers.metrics_file import Histogram, MetricsFile, MetricsLine, as_number, is_image_path
from frame_loggers.names import prefix_counters
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
"""Seconds to wait for the server at the start of a run."""

FINISH_TIMEOUT = 300.0
"""Seconds to wait for the last upload at the end of a run."""

DESCRIPTION_FILES = ("config.yaml", "overrides.yaml", "run.json", "metrics.jsonl")
"""Files of a run directory that are added to the artifact of each checkpoint, if they exist."""

_MODES = ("online", "offline", "dryrun", "disabled", "shared", "run")

_DESCRIPTION = ("name", "group", "job_type", "tags", "notes")

_LONGEST_TAG = 64  # characters

_IMAGE_SIDE = 512
"""Pixels up to which the longer side of a small image is enlarged."""

_log = logging.getLogger("frame_loggers")


class WandbLogger(LightningWandbLogger):
    """Logs to Weights & Biases. Without credentials or a server it logs offline, with a one-line warning.

    It never prompts for an API key. It respects ``WANDB_MODE`` (``online``, ``offline`` or ``disabled``). In a
    sweep, the project and the run are those of the agent. `finalize` ends the run; logging again resumes it.
    Once the run has started, ``<directory>/wandb/run.json`` has its identity, which
    `frame_loggers.wandb_run.read_wandb_run` reads.

    Args:
        project: Project of the run.
        name: Display name of a new run.
        directory: Run directory. All files of the run are written to ``<directory>/wandb``, including those that
            wandb would write to the home directory, unless ``WANDB_DATA_DIR`` and ``WANDB_CACHE_DIR`` are set.
        run_id: Id of the run to resume, or None for a new run. If it is the run of ``directory``, the stored
            project and entity are used. If the server does not know the run, because it was logged offline, it
            is resumed offline. A resumed run keeps its name, group, job type, tags and notes.
        group: Group of a new run on the page of the project. In a sweep, the default is the id of the sweep.
        job_type: Job type of a new run, by which the page can also group.
        tags: Tags of a new run.
        notes: Notes of a new run.
        monitor: Full name of a number, whose best value is in the summary of the run, as ``best/<name>``.
        monitor_mode: Whether the best value is the largest (``max``) or the smallest (``min``).

    Raises:
        ValueError: The credentials are malformed, ``WANDB_MODE`` is invalid, or a tag is empty or too long. Nothing is
            written.
    """

    def __init__(
        self,
        project: str,
        name: str,
        directory: str | Path,
        run_id: str | None = None,
        group: str | None = None,
        job_type: str | None = None,
        tags: list[str] | None = None,
        notes: str | None = None,
        monitor: str | None = None,
        monitor_mode: Literal["max", "min"] = "max",
    ) -> None:
        directory = Path(directory).absolute()
        entity = None
        known = read_wandb_run(directory)
        if known is not None and known.id == run_id:
            entity, project = known.entity, known.project
        _set_wandb_environment(directory / "wandb")
        mode, self._offline_reason = _choose_mode()
        sweep_id = wandb_setup.singleton().settings.sweep_id
        values = (
            str(name),
            group or sweep_id,
            job_type,
            _check_tags(tags or []),
            None if notes is None else str(notes),
        )
        described: dict[str, Any] = dict(zip(_DESCRIPTION, values))
        super().__init__(
            entity=entity,
            project=project,
            id=run_id,
            resume="allow" if run_id is None else "must",
            save_dir=directory,
            mode=mode,
            **(described if run_id is None else {}),  # they may have been edited online
            settings=wandb.Settings(
                console="wrap",
                silent=True,
                init_timeout=INIT_TIMEOUT,
                finish_timeout=FINISH_TIMEOUT,
                finish_timeout_raises=True,
            ),
        )
        self._monitor = monitor
        self._choose_best = max if monitor_mode == "max" else min
        self._best: float | None = None
        self._position: int | None = None
        self._n_entries: int | None = None
        self._lines: list[MetricsLine] = []
        self._uploaded_lines: list[MetricsLine] = []
        del self._wandb_init["anonymous"]  # wandb warns about any value of this variable
        self._in_sweep = sweep_id is not None
        if self._in_sweep:  # the agent sets them
            del self._wandb_init["project"], self._wandb_init["id"]

    @property
    @override
    def experiment(self) -> Any:
        """The run of wandb, which is started on first access."""
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
        """Log one entry; see `frame_core.EntryLogger`."""
        values = _make_values(name, log_entry)
        self.log_metrics(
            {**values, **_name_seconds(values, log_entry.seconds), **prefix_counters(counters)}, global_step
        )

    @override
    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        run = self.experiment  # starts it
        self._n_entries = (self._n_entries or 0) + 1
        if self._update_best(metrics):
            run.summary[f"best/{self._monitor}"] = self._best
        same = next((line for line in self._uploaded_lines if _matches(line, metrics, step)), None)
        if same is not None:
            self._uploaded_lines.remove(same)
        elif run is not None:
            super().log_metrics(metrics, step)

    def _update_best(self, metrics: Mapping[str, Any]) -> bool:
        """Update the best value of the monitored number; return whether an entry has this number."""
        value = None if self._monitor is None else as_number(metrics.get(self._monitor))
        if value is None or math.isnan(value):
            return False
        self._best = value if self._best is None else self._choose_best(self._best, value)
        return True

    @rank_zero_only
    def get_position(self) -> dict[str, int]:
        """Return the current position in the log: the number of entries."""
        assert self.experiment is not None  # starting the run sets the number of entries
        return {"entries": self._n_entries or 0}

    def cut_back(self, position: Mapping[str, int]) -> None:
        """Resume the log from a position, without duplicate or missing entries on the server.

        W&B cannot delete entries. Of the entries that a resumed training logs again, those that the server already
        has, by step and names, are skipped. Entries before the position that the server lacks, because the process
        was killed before it sent them, are sent from ``metrics.jsonl``.

        Call this before truncating ``metrics.jsonl``. Offline, the uploaded entries are unknown: entries after the
        position are logged twice, with the same steps.
        """
        self._position = position["entries"]
        self._lines = MetricsFile(Path(self._wandb_init["dir"])).read()

    @rank_zero_only
    def log_checkpoint(self, path: Path, name: str) -> None:
        """Log a checkpoint as a version of the artifact ``checkpoint-<run id>-<name>``, online or offline.

        The artifact includes those `DESCRIPTION_FILES` that the run directory has. If W&B rejects the artifact, a
        warning is logged and the checkpoint remains in the run directory.

        Args:
            path: The checkpoint file.
            name: Name of the checkpoint, such as ``best``.
        """
        artifact = wandb.Artifact(f"checkpoint-{self.experiment.id}-{name}", type="model")
        artifact.add_file(str(path), name="checkpoint.ckpt")
        for file in (Path(self._wandb_init["dir"], name) for name in DESCRIPTION_FILES):
            if file.is_file():
                artifact.add_file(str(file))
        try:
            self.experiment.log_artifact(artifact, aliases=["latest", name])
        except (Error, TimeoutError) as error:  # not fatal: the checkpoint is in the run directory
            reason = str(error).partition("\n")[0]
            _log.warning("W&B: %s could not be logged as an artifact and remains a local file: %s", path.name, reason)

    @override
    @rank_zero_only
    def finalize(self, status: str) -> None:
        """End the run, so that its file is complete and the next logger starts a new run."""
        super().finalize(status)
        if self._experiment is None:
            return
        run, self._experiment = self._experiment, None
        self._id = run.id
        if not self._in_sweep:
            self._wandb_init.update(id=run.id, resume="allow", **dict.fromkeys(_DESCRIPTION))
        try:
            run.finish(exit_code=0 if status == "success" else 1)
        except TimeoutError:
            _log.warning(
                "W&B: the upload did not finish within %g seconds; run `%s` to upload the rest.",
                FINISH_TIMEOUT,
                _sync_command([run.settings.sync_dir]),
            )
        if wandb.run is None:
            close_wandb()  # writes the last records of the run

    @rank_zero_only
    def _start(self) -> None:
        if self._wandb_init["mode"] != "disabled":  # wandb warns about a missing directory
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
            run = self._start_offline(f"the server has no run {self._id!r} to resume")
        for line in MetricsFile(Path(self._wandb_init["dir"])).read():  # of a resumed run
            self._update_best(line.values)
        if run.offline:
            self._report_offline(_sync_command(_list_offline_directories(run)))
        elif self._position is not None:
            n_uploaded = run.starting_step  # `run.step` is 0 until something is logged
            for line in self._lines[n_uploaded : self._position]:
                super().log_metrics(_restore_values(line, Path(self._wandb_init["dir"])), line.global_step)
            uploaded = self._lines[self._position : n_uploaded]
            self._uploaded_lines = [line for line in uploaded if not line.evaluated]
        if self._n_entries is None:
            added = [line for line in self._lines[self._position or 0 :] if line.evaluated]  # they stay
            self._n_entries = run.starting_step if self._position is None else self._position + len(added)
        self._position = None
        if not run.disabled:
            directory = Path(self._wandb_init["dir"])
            write_wandb_run(directory, WandbRun(run.entity or None, run.project, run.id, run.url))

    def _report_offline(self, upload: str) -> None:
        """Report why the run is logged offline, unless the user has chosen it, and the command that uploads it."""
        if not self._offline_reason:
            _log.warning("W&B: this run is logged offline; run `%s` to upload it.", upload)
            return
        _log.warning(
            "W&B: %s, so this run is logged offline; run `%s login` to log in, `%s` to upload the run.",
            self._offline_reason,
            _get_command(),
            upload,
        )

    def _start_offline(self, reason: str) -> Any:
        """Start the run offline after it failed to start online."""
        # wandb's service is closed because it would still treat the id of the run as in use.
        self._offline_reason = reason
        self._wandb_init["mode"] = "offline"
        close_wandb()
        return super().experiment


def read_mode() -> str:
    """Return wandb's mode, from ``WANDB_MODE`` or its settings file.

    Raises:
        ValueError: ``WANDB_MODE`` is not a mode of wandb.
    """
    if not os.environ.get("WANDB_MODE"):  # an empty variable counts as unset
        os.environ.pop("WANDB_MODE", None)
    elif os.environ["WANDB_MODE"] not in _MODES:
        raise ValueError(f"`WANDB_MODE` must be one of {', '.join(_MODES)}, got {os.environ['WANDB_MODE']!r}.")
    return os.environ.get("WANDB_MODE") or wandb_setup.singleton().settings.mode


def _choose_mode() -> tuple[str, str]:
    """Return wandb's mode and, if it is offline without being chosen, the reason."""
    mode = read_mode()
    if mode in ("offline", "dryrun"):
        return "offline", ""
    if mode == "disabled" or _has_credentials():
        return mode, ""
    return "offline", "there are no credentials"


def _check_tags(tags: Sequence[Any]) -> list[str]:
    """Return tags as texts.

    Raises:
        ValueError: A tag is empty or too long, which W&B refuses.
    """
    texts = [str(tag) for tag in tags]
    wrong = [text for text in texts if not 0 < len(text) <= _LONGEST_TAG]
    if wrong:
        raise ValueError(f"`tags` must be texts of 1 to {_LONGEST_TAG} characters, got {wrong[0]!r}.")
    return texts


def _has_credentials() -> bool:
    try:
        return wandb.login(prompt=False, verify=False)
    except AuthenticationError as error:
        raise ValueError(
            f"The W&B credentials are invalid: {error} "
            "Run `wandb login --relogin` to replace them, or set `WANDB_MODE=offline` to log without them."
        ) from None


_own_variables: dict[str, str] = {}


def _set_wandb_environment(directory: Path) -> None:
    """Silence wandb and keep its files out of the home directory, without overriding variables of the user.

    The location of staged artifacts (including tables) and of the cache can only be set by these variables. An
    offline run needs its staged files until it is uploaded, so they are stored next to it.
    """
    variables = {"WANDB_SILENT": "true", "WANDB_DATA_DIR": str(directory), "WANDB_CACHE_DIR": str(directory / "cache")}
    for variable, value in variables.items():
        if os.environ.get(variable) in (None, _own_variables.get(variable)):  # unset, or set by an earlier run
            os.environ[variable] = _own_variables[variable] = value


def _list_offline_directories(run: Any) -> list[str]:
    """List the directories of an offline run: one per start, with a suffix `-1`… if two started in the same second."""
    parent = Path(run.settings.sync_dir).parent
    pattern = rf"offline-run-[\d_]+-{re.escape(run.id)}(-\d+)?"
    return sorted(str(path) for path in parent.iterdir() if re.fullmatch(pattern, path.name))


def _sync_command(directories: Iterable[str]) -> str:
    return f"{_get_command()} sync {' '.join(map(shlex.quote, directories))}"


def _get_command() -> str:
    """Return the command of wandb, with `uv run` if this program was started by it (it sets the variable UV)."""
    return "uv run wandb" if "UV" in os.environ else "wandb"


def _make_values(name: str, log_entry: LogEntry) -> dict[str, Any]:
    match log_entry.data_type:
        case EntryType.SCALAR | EntryType.SCALARS:
            return name_numbers(name, log_entry)
        case EntryType.IMAGE | EntryType.PLOT:
            return {name: _make_image(make_pil_image(log_entry))}
        case EntryType.HISTOGRAM:
            bins = make_bins(log_entry.value)
            return {name: wandb.Histogram(np_histogram=(bins.counts.numpy(), bins.edges.numpy()))}
        case EntryType.TEXT:
            return {name: _make_html(log_entry.value)}
        case EntryType.TABLE:
            return {name: _make_table(log_entry.value)}


def _matches(line: MetricsLine, metrics: Mapping[str, Any], step: int | None) -> bool:
    """Return whether a line of ``metrics.jsonl`` has the step and the names of an entry."""
    return line.global_step == step and _name_values(line).keys() == metrics.keys()


def _name_values(line: MetricsLine) -> dict[str, Any]:
    """Return the values of a line of ``metrics.jsonl`` by the names under which `WandbLogger.log` logs them."""
    return {**line.values, **_name_seconds(line.values, line.seconds), **prefix_counters(line.counters)}


def _name_seconds(values: Mapping[str, Any], seconds: float | None) -> dict[str, float]:
    """Return the duration of an evaluation by its name on W&B, ``seconds/`` and the common name of its values."""
    return {} if seconds is None else {f"seconds/{os.path.commonpath(values)}": seconds}


def _restore_values(line: MetricsLine, directory: Path) -> dict[str, Any]:
    """Restore the values that were logged from a line of ``metrics.jsonl``."""
    return {name: _restore(value, directory) for name, value in _name_values(line).items()}


def _restore(value: Any, directory: Path) -> Any:
    match value:
        case str() if is_image_path(value) and (directory / value).is_file():
            return _make_image(Image.open(directory / value))
        case str():
            return _make_html(value)
        case Histogram():
            arrays: Any = (value.counts, value.edges)  # wandb accepts lists too, although its annotation says arrays
            return wandb.Histogram(np_histogram=arrays)
        case dict():
            return _make_table(value)
        case _:
            return value


def _make_image(image: Image.Image) -> wandb.Image:
    """Enlarge a small image by an integer factor, because the page shows each pixel as one pixel."""
    factor = max(1, _IMAGE_SIDE // max(image.size))
    return wandb.Image(image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST))


def _make_html(text: str) -> wandb.Html:
    return wandb.Html(f'<pre style="white-space: pre-wrap">{html.escape(text)}</pre>', data_is_not_path=True)


def _make_table(columns: Mapping[str, Sequence[Any]]) -> wandb.Table:
    rows = zip(*(_make_uniform(cells) for cells in columns.values()))
    return wandb.Table(columns=list(columns), data=[list(row) for row in rows])


def _make_uniform(cells: Sequence[Any]) -> list[Any]:
    """Return cells of a single type, since wandb rejects columns of mixed types."""
    plain = [make_plain(cell) for cell in cells]
    types = {float if type(cell) is int else type(cell) for cell in plain if cell is not None}
    return plain if len(types) <= 1 else [None if cell is None else str(cell) for cell in plain]
