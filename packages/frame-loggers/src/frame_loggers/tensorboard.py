"""Logger for TensorBoard."""

import json
import logging
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from textwrap import indent
from typing import Any, cast

import yaml
from pytorch_lightning.loggers.tensorboard import TensorBoardLogger as LightningTensorBoardLogger
from pytorch_lightning.utilities import rank_zero_only
from torch import Tensor
from typing_extensions import override

from frame_core import EntryType, LogEntry, name_numbers
from frame_loggers.conversion import make_bins, make_image_tensor, make_plain
from frame_loggers.files import open_regular

try:
    from torch.utils.tensorboard.summary import hparams
    from torch.utils.tensorboard.writer import SummaryWriter
except ModuleNotFoundError as error:
    if error.name != "tensorboard":
        raise
    raise ModuleNotFoundError(
        "`TensorBoardLogger` needs tensorboard: `pip install frame-loggers[tensorboard]`.", name=error.name
    ) from None

_log = logging.getLogger("frame_loggers")

_EVALUATED = ".evaluated"  # the end of the name of an event file that was added after the training


class TensorBoardLogger(LightningTensorBoardLogger):
    """Writes event files that ``tensorboard --logdir <directory>`` shows.

    TensorBoard does not support tables: they are logged as text. Counters are not logged, because each would be a
    curve.

    Args:
        directory: Directory of the event files, without a subfolder per version.
        evaluated: Whether entries are added after the training, so that a resumed training keeps them.
    """

    def __init__(self, directory: str | Path, evaluated: bool = False) -> None:
        self._directory = str(Path(directory).absolute())
        self._warned_about_tables = False
        suffix = _EVALUATED if evaluated else ""
        super().__init__(self._directory, name="", version="", default_hp_metric=False, filename_suffix=suffix)

    @property
    @override
    def root_dir(self) -> str:
        return self._directory

    @property
    @override
    def log_dir(self) -> str:
        return self._directory

    @rank_zero_only
    def log(
        self,
        name: str,
        log_entry: LogEntry,
        global_step: int | None = None,
        counters: Mapping[str, int] | None = None,
    ) -> None:
        """Log one entry without its counters; see `frame_core.EntryLogger`. The step of an entry without one is 0."""
        if log_entry.data_type == EntryType.TABLE:
            self._warn_about_tables()
        write_entry(self.experiment, name, log_entry, global_step)

    @override
    @rank_zero_only
    def log_hyperparams(
        self, params: dict[str, Any] | Namespace, metrics: dict[str, Any] | None = None, step: int | None = None
    ) -> None:
        """Log a config as the text ``config``, and its hyperparameters for the HParams tab.

        The hyperparameters of a config with ``params`` are these and its ``seed``; of any other, they are all values.
        The tab shows the last value of each curve beside them.

        Args:
            params: The config.
            metrics: Numbers to log as curves.
            step: Step of these numbers.
        """
        config = vars(params) if isinstance(params, Namespace) else params
        chosen = config
        if isinstance(config.get("params"), Mapping):
            chosen = {**config["params"], **{key: config[key] for key in ("seed",) if key in config}}
        _, start, _ = hparams(dict(_flatten(chosen)), {})
        self.experiment.file_writer.add_summary(start)
        self.experiment.add_text("config", indent(_write_yaml(config), "    "))  # a code block of Markdown
        self.log_metrics(metrics or {}, step)

    def get_position(self) -> dict[str, int]:
        """Return the current position in the log: the length of each event file, in bytes."""
        self.save()
        return {path.name: path.stat().st_size for path in self._find_event_files()}

    def cut_back(self, position: Mapping[str, int]) -> None:
        """Truncate the event files to a position, and delete those of the training that were created after it."""
        for path in self._find_event_files():
            if path.name in position:
                with open(path, "r+b", opener=open_regular) as file:
                    file.truncate(min(path.stat().st_size, position[path.name]))
            else:
                path.unlink()

    def _find_event_files(self) -> list[Path]:
        paths = Path(self._directory).glob("events.out.tfevents.*")
        return sorted(path for path in paths if not path.name.endswith(_EVALUATED))

    @override
    @rank_zero_only
    def save(self) -> None:
        """Flush the event file. Write no ``hparams.yaml``: the run directory has the composed config."""
        if self._experiment is not None:
            self._experiment.flush()

    def _warn_about_tables(self) -> None:
        if not self._warned_about_tables:
            _log.warning("TensorBoard does not support tables: they are logged as text.")
        self._warned_about_tables = True


def write_entry(writer: SummaryWriter, name: str, log_entry: LogEntry, global_step: int | None) -> None:
    """Write an entry to an event file. A table is a text."""
    match log_entry.data_type:
        case EntryType.SCALAR | EntryType.SCALARS:
            for key, value in name_numbers(name, log_entry).items():
                writer.add_scalar(key, value, global_step)
        case EntryType.IMAGE | EntryType.PLOT:
            writer.add_image(name, make_image_tensor(log_entry), global_step)
        case EntryType.HISTOGRAM:
            _add_histogram(writer, name, log_entry.value, global_step)
        case EntryType.TEXT:
            writer.add_text(name, log_entry.value, global_step)
        case EntryType.TABLE:
            writer.add_text(name, _make_markdown(log_entry.value), global_step)


def _add_histogram(writer: SummaryWriter, name: str, values: Tensor, global_step: int | None) -> None:
    bins = make_bins(values)
    finite = values[values.isfinite()].double()
    writer.add_histogram_raw(
        name,
        min=bins.edges[0].item(),
        max=bins.edges[-1].item(),
        num=len(finite),
        sum=finite.sum().item(),
        sum_squares=finite.square().sum().item(),
        # A bucket has an upper limit only: an empty first bucket sets the lower limit of the second.
        bucket_limits=bins.edges.tolist(),
        bucket_counts=[0, *bins.counts.tolist()],
        global_step=global_step,
    )


def _flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str | float | bool | None]]:
    """Yield the values of nested mappings by dotted key."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flatten(cast(Mapping[str, Any], value), f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", make_plain(value)


def _write_yaml(config: Mapping[str, Any]) -> str:
    """Write a config as YAML, with texts in place of objects that YAML does not have."""
    plain = json.loads(json.dumps(config, default=str))
    return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True)


def _make_markdown(columns: Mapping[str, Sequence[Any]]) -> str:
    rows = [list(columns), ["---"] * len(columns), *zip(*columns.values())]
    return "\n".join(f"| {' | '.join(map(_escape, row))} |" for row in rows)


def _escape(cell: Any) -> str:
    return str(make_plain(cell)).replace("|", "\\|").replace("\n", " ")
