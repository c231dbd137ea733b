"""A folder with a model, its code and a model card, in the layout of the Hugging Face Hub."""

import inspect
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from torch import nn

from frame_loggers.files import replace_text
from frame_train.errors import CompositionError
from frame_train.files import made_folder
from frame_train.runs.export.code import export_model
from frame_train.runs.metrics import read_best, read_last
from frame_train.runs.record import Record, read_record
from frame_train.tables import escape, write_markdown

WEIGHTS = "model.safetensors"


def write_repository(model: nn.Module, config: DictConfig, directory: Path, global_step: int, folder: Path) -> None:
    """Write ``model.safetensors``, ``load.py``, ``config.yaml`` and the model card ``README.md``.

    Args:
        model: The model.
        config: The config of its run.
        directory: The run directory.
        global_step: The global step of the weights.
        folder: A new or empty folder.

    Raises:
        CompositionError: The folder is not empty, or can't be written.
    """
    record = read_record(directory)
    try:
        with made_folder(folder):
            if any(folder.iterdir()):
                raise CompositionError(f"`folder`: {str(folder)!r} must be empty or new. Name another one.")
            lines = export_model(model, config, folder / WEIGHTS, name=WEIGHTS)
            replace_text(folder / "load.py", lines + "\n")
            replace_text(folder / "config.yaml", (directory / "config.yaml").read_text(encoding="utf-8"))
            replace_text(folder / "README.md", _write_card(model, config, record, global_step, lines))
    except OSError as error:
        raise CompositionError(f"`folder`: {str(folder)!r} can't be written: {error.strerror}.") from error


def _write_card(model: nn.Module, config: DictConfig, record: Record, global_step: int, lines: str) -> str:
    name = escape(f"{_select(config, 'run.project')} / {_select(config, 'run.name')}")
    settings, versions = _as_mapping(record.config.get("params")), _as_mapping(record.description.get("versions"))
    return "\n".join(
        [
            "---",
            "library_name: pytorch",
            f"tags: [frame, {json.dumps(type(model).__name__)}]",
            "---",
            "",
            f"# {name}",
            "",
            f"{escape(_describe(model))} (`{type(model).__module__}.{type(model).__name__}`)",
            "",
            f"- parameters: {sum(parameter.numel() for parameter in model.parameters()):,}",
            f"- training data: {_describe_data(config)}",
            f"- trained for {global_step:,} steps, with seed {escape(str(_select(config, 'seed')))}",
            f"- trained with {_describe_versions(versions)}",
            "",
            *_write_section(
                "Hyper-parameters", ("name", "value"), [(key, str(value)) for key, value in settings.items()]
            ),
            *_write_section("Metrics", ("metric", "last", "at the best step"), _list_metrics(config, record)),
            "## Load it",
            "",
            "The weights are `model.safetensors`, the training config is `config.yaml`.",
            "",
            "```python",
            lines,
            "```",
            "",
        ]
    )


def _select(config: DictConfig, key: str) -> Any:
    """Return a value of the config; None if it has none, because the run may be somebody else's."""
    try:
        return OmegaConf.select(config, key, throw_on_resolution_failure=False)
    except OmegaConfBaseException:  # the parent of the key is not a mapping
        return None


def _as_mapping(value: Any) -> Mapping[str, Any]:
    return cast(dict[str, Any], value) if isinstance(value, dict) else {}


def _describe(model: nn.Module) -> str:
    """Return the first paragraph of the docstring of a model's class."""
    return (inspect.getdoc(type(model)) or type(model).__name__).partition("\n\n")[0].replace("\n", " ")


def _describe_data(config: DictConfig) -> str:
    """Name the classes of the splits that the config describes."""
    data = _select(config, "optimization.data")
    splits = data.values() if isinstance(data, DictConfig) else ()
    targets = dict.fromkeys(str(split.get("_target_")) for split in splits if isinstance(split, DictConfig))
    return ", ".join(map(escape, targets)) or "see `config.yaml`"


def _describe_versions(versions: Mapping[str, Any]) -> str:
    names = ("frame-train", "frame-models", "torch")
    return ", ".join(f"{name} {escape(str(versions[name]))}" for name in names if name in versions) or "frame"


def _list_metrics(config: DictConfig, record: Record) -> list[tuple[str, ...]]:
    monitor, mode = (str(_select(config, f"monitor.{key}")) for key in ("metric", "mode"))
    best = read_best(record.metrics, monitor, mode)
    last = read_last(record.metrics)
    return [(name, f"{last[name]:.5g}", f"{best[name]:.5g}" if name in best else "") for name in sorted(last)]


def _write_section(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"## {title}", "", write_markdown(columns, rows), ""] if rows else []
