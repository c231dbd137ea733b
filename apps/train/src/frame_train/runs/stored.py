"""A stored run: its model with the weights, its data, its config and its metrics."""

import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from torch import nn

from frame_core import Model, SizedDataset
from frame_train.composition.foreign.allow_list import AllowList, NotAllowedError
from frame_train.composition.foreign.interpolations import escape, restrict_interpolations
from frame_train.composition.legacy import rename_old_words
from frame_train.composition.objects import Composition, iterate_components
from frame_train.composition.settings import register_resolvers
from frame_train.errors import CompositionError
from frame_train.runs.checkpoint import Checkpoint, load_weights, read_checkpoints
from frame_train.runs.directory import read_description
from frame_train.runs.export import export_model, write_repository
from frame_train.runs.location import locate, read_device
from frame_train.runs.record import read_metrics
from frame_train.runs.yaml_files import load_yaml

if TYPE_CHECKING:
    import pandas as pd


def load_run(where: str | Path, weights: str = "last", allow: Sequence[str] = ()) -> "Run":
    """Load a run: its model with the weights, its data, its config and its metrics.

    A run may be somebody else's. So it builds only classes of this project, torch and torchvision, and names in
    ``allow``. It executes, downloads and writes nothing, and reads no environment variable. See ``docs/security.md``.

    Args:
        where: A run directory, a checkpoint in it, or ``entity/project/run_id`` of W&B.
        weights: ``best``, ``last``, the name of another file in ``checkpoints``, or a path.
        allow: Your own packages, modules, dotted paths or resolvers that the config may name.

    Raises:
        CompositionError: The run does not exist, is incomplete, or can't be built.
    """
    if weights == "all":
        raise CompositionError("`weights` must name one checkpoint, got 'all', which only `evaluate` takes.")
    run, (checkpoint,) = open_run(where, weights, allow)
    run.load(checkpoint)
    return run


def open_run(
    where: str | Path, weights: str, allow: Sequence[str], device: DictConfig | None = None
) -> tuple["Run", list[Checkpoint]]:
    """Open a run, and read the requested checkpoints without loading one. ``all`` requests every checkpoint."""
    if not isinstance(where, str | Path):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise CompositionError(f"`run` must be a run directory, a checkpoint, or a run on W&B, got {where!r}.")
    if not isinstance(weights, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise CompositionError(f"`weights` must be 'best', 'last', the name of a file, or a path, got {weights!r}.")
    directory, weights = locate(where, weights, device)
    checkpoints = read_checkpoints(directory, weights)
    return Run(directory, read_config(directory, allow), allow, device), checkpoints


class Run:
    """A stored run, which can be evaluated like an optimization. `load_run` returns it.

    Args:
        directory: The run directory.
        config: Its config.
        allow: Further names that the config may use.
        device: The device config of this machine; None for the one that ``DEVICE_NAME`` names.

    Attributes:
        directory: The run directory.
        config: The stored config, with the present location of the run as ``run.directory``.
        model: The model, on the CPU, in eval mode once its weights are loaded.
        checkpoint: The checkpoint of its weights.
    """

    model: Model
    checkpoint: Checkpoint

    def __init__(
        self, directory: Path, config: DictConfig, allow: Sequence[str], device: DictConfig | None = None
    ) -> None:
        self.directory = directory
        self.config = config
        self._allow = allow
        self._composition = Composition()
        self._device = device
        self._data: Mapping[str, SizedDataset] | None = None
        self.model = self._build_model()

    @property
    def global_step(self) -> int:
        """The global step at which the weights were saved."""
        return self.checkpoint.global_step

    @property
    def counters(self) -> Mapping[str, int]:
        """The counters at which the weights were saved."""
        return self.checkpoint.counters

    @property
    def data(self) -> Mapping[str, SizedDataset]:
        """The splits of the data, built on first access.

        If the folder ``device.data_root`` of the config does not exist, the one of this machine is used.

        Raises:
            CompositionError: The config has no data, or the data can't be built.
        """
        if self._data is None:
            data_root = OmegaConf.select(self.config, "device.data_root", throw_on_resolution_failure=False)
            if data_root is not None and not Path(str(data_root)).is_dir():
                self.move_data(self._device or read_device())
            data = self.instantiate("optimization.data")
            splits = cast(Mapping[str, Any], data).values() if isinstance(data, Mapping) else [None]
            if not all(hasattr(split, "__getitem__") and hasattr(split, "__len__") for split in splits):
                raise CompositionError(
                    f"`optimization.data` must be a mapping of names to data sets, got {data!r} "
                    f"in {str(self.directory / 'config.yaml')!r}."
                )
            self._data = cast(Mapping[str, SizedDataset], data)
        return self._data

    @property
    def metrics(self) -> "pd.DataFrame":
        """The metrics: a row for each line of ``metrics.jsonl``."""
        return read_metrics(self.directory)

    def load(self, checkpoint: Checkpoint) -> None:
        """Load the weights of a checkpoint of this run into the model.

        Raises:
            CompositionError: The weights belong to another model.
        """
        load_weights(self.model, checkpoint)
        self.model.eval()
        self.checkpoint = checkpoint

    def move_data(self, device: DictConfig) -> None:
        """Set the folder of the data and the number of data-loading workers to those of a device config."""
        data_root = Path(device.data_root)
        place = {"data_root": data_root, "big_data_root": Path(device.get("big_data_root", data_root))}
        moved = {name: escape(str(path.expanduser().absolute())) for name, path in place.items()}
        OmegaConf.update(self.config, "device", {**moved, "num_workers": device.get("num_workers", 0)})

    def instantiate(self, key: str) -> Any:
        """Build the object under a key of the config. It shares the objects that the run has built before.

        Raises:
            CompositionError: The object can't be built, or the config names something that is not allowed.
        """
        try:
            node = OmegaConf.select(self.config, key, throw_on_missing=True, throw_on_resolution_failure=True)
            return self._composition.limited_to(AllowList(key, self.directory, self._allow)).instantiate(node)
        except OmegaConfBaseException as error:
            raise CompositionError(f"`{key}`: {str(error).splitlines()[0]}.") from error
        except NotAllowedError as error:
            raise NotAllowedError(f"{error}{self._describe_refused()}", error.key) from error

    def export(self, path: str | Path) -> str:
        """Write the weights as safetensors; print and return the lines of Python that load them.

        The lines need torch, safetensors, and the packages of the model and its networks. They do not need Lightning,
        Hydra, W&B or this package.

        Args:
            path: The file to write.

        Raises:
            CompositionError: The file can't be written.
        """
        lines = export_model(self.model, self.config, Path(path))
        print(lines)  # noqa: T201
        return lines

    def export_repository(self, folder: str | Path) -> None:
        """Write the model, its code and a model card into a folder, and print the command that uploads it.

        The folder has the layout of the Hugging Face Hub: ``model.safetensors``, ``load.py``, ``config.yaml``, and
        ``README.md`` with the model, the data, the hyper-parameters, the metrics and the code that loads it.

        Args:
            folder: A new or empty folder.

        Raises:
            CompositionError: The folder is not empty, or can't be written.
        """
        write_repository(self.model, self.config, self.directory, self.global_step, Path(folder))
        print(shlex.join(["hf", "upload", f"USER/{Path(folder).absolute().name}", str(folder)]))  # noqa: T201

    def _describe_refused(self) -> str:
        """List what the model, the data and the evaluations name without permission, if they name several things."""
        refused: dict[str, None] = {}
        for part in ("optimization.model", "optimization.data", "evaluation"):
            allowed = AllowList(part, self.directory, self._allow)
            node = OmegaConf.select(self.config, part, throw_on_resolution_failure=False)
            for component in iterate_components(node):
                with suppress(OmegaConfBaseException):
                    target = str(component["_target_"])
                    refused |= {} if allowed.has_name(target) else {target: None}
        return f"\n`allow=[{', '.join(refused)}]` allows everything that the config names." if len(refused) > 1 else ""

    def _build_model(self) -> Model:
        optimization = self.config.get("optimization")
        if not isinstance(optimization, DictConfig) or "model" not in optimization:
            raise CompositionError(
                f"`optimization`: expected a mapping with a `model`, got {optimization!r} "
                f"in {str(self.directory / 'config.yaml')!r}."
            )
        with torch.random.fork_rng(devices=[]):
            model = self.instantiate("optimization.model")
        if not isinstance(model, nn.Module):
            raise CompositionError(f"`optimization.model` must be a torch module, got {model!r}.")
        return cast(Model, model)


def read_config(directory: Path, allow: Sequence[str] | None = ()) -> DictConfig:
    """Read the config of a run.

    Args:
        directory: The run directory.
        allow: Names of resolvers that a foreign config may call; None for a config that the user trusts.

    Raises:
        CompositionError: The config can't be read, or is not a mapping.
    """
    register_resolvers()
    path = directory / "config.yaml"
    try:
        config = load_yaml(path)
    except (OSError, ValueError) as error:
        raise CompositionError(f"`run`: {str(path)!r} can't be read as a config: {error}.") from error
    if not isinstance(config, DictConfig) or not config:
        raise CompositionError(f"`run`: {str(path)!r} must contain a mapping, got {config!r}.")
    if allow is not None:
        config = restrict_interpolations(config, allow)
    for group in ("run", "device"):
        if not isinstance(config.get(group), DictConfig | None):
            raise CompositionError(f"`{group}` must be a mapping in {str(path)!r}, got {config.get(group)!r}.", group)
    rename_old_words(config, read_description(directory)["format"])
    OmegaConf.update(config, "run.directory", escape(str(directory)))
    return config
