"""Old names in configs, and their present names."""

import re
from collections.abc import Iterator
from typing import Any, cast

from omegaconf import DictConfig, ListConfig, OmegaConf, open_dict

from frame_train.composition.foreign.interpolations import escape
from frame_train.composition.objects import get_key

MOVED_TARGETS = {
    "frame_train.augmentation.RandomShift": "frame_train.data.RandomShift",
    "frame_train.data.DeclaredDataset": "frame_core.DeclaredDataset",
    "frame_train.interval.Clock": "frame_core.Clock",
    "frame_train.interval.Interval": "frame_core.Interval",
    "frame_train.optimization.JointModel": "frame_core.JointModel",
    "frame_train.optimization.PartEvaluation": "frame_eval.PartEvaluation",
}
"""The present path of each public class that has moved."""

_FORMER_MODULE = re.compile(r"^(frame_models|frame_eval)\.(?!couplings|solvers)[a-z_]+\.([A-Z]\w*)$")
"""A class of these packages by the path of its module, before their modules were sorted into folders."""

RENAMED_KEYS = {
    "device.runs_root": "device.experiments_root",
    "optimization.steps_per_trip": "optimization.steps_per_execution",
}
"""The present name of each key that was renamed, in the same mapping."""

_N_LATENT_SAMPLES = {
    "frame_eval.AccuracyEvaluation": 1,
    "frame_eval.ConfusionMatrixEvaluation": 1,
    "frame_eval.ELBOEvaluation": 1,
    "frame_eval.LogLikelihoodEvaluation": 100,
}
"""The default number of draws per example, of the evaluations in which it was `n_samples`."""

_ENCODERS = tuple(f"frame_architectures.{name}" for name in ("digits.Encoder", "mnist.Encoder", "mnist.ConvEncoder"))
_STOCHASTIC = ("frame_architectures.StochasticLinear", "frame_architectures.stochastic.StochasticLinear")
_OLD_MIN_SCALE = 1e-6
"""The smallest scale of a distribution in runs of format 1, which could not set it."""

_SAMPLES = "frame_eval.ImageSampleEvaluation"
_JOINT_OPTIMIZATION = "frame_train.optimization.JointOptimization"
_BATCH_OPTIMIZATION = "frame_train.optimization.BatchOptimization"
_JOINT_MODEL = "frame_core.JointModel"


def rename_old_words(config: DictConfig, run_format: int | None = None) -> list[str]:
    """Replace old names in a config, composed or stored, by the present ones.

    Args:
        config: A composed config, or that of a stored run; it is changed.
        run_format: The format of the stored run; None for a composed config.

    Returns:
        A line for each old name, with the present one.
    """
    if run_format == 1:
        _write_min_scale(config)
    trainer = OmegaConf.select(config, "trainer", throw_on_resolution_failure=False)
    return [
        *_replace_joint_optimization(config),
        *_rename_targets(config),
        *_rename_numbers_of_samples(config, run_format == 1),
        *_inline_sampling_params(config),
        *_rename_keys(config),
        *(_rename_trainer_keys(trainer) if isinstance(trainer, DictConfig) else []),
    ]


def _rename_targets(config: DictConfig) -> list[str]:
    lines: dict[str, None] = {}
    for node, target in iterate_targets(config):
        name = MOVED_TARGETS.get(target) or _FORMER_MODULE.sub(r"\1.\2", target)
        if name != target:
            node["_target_"] = name
            lines[f"`{target}` is an old name: it is now `{name}`."] = None
    return list(lines)


def iterate_targets(node: DictConfig | ListConfig) -> Iterator[tuple[DictConfig, str]]:
    """Yield every node with a literal target, and that target."""
    names = range(len(node)) if isinstance(node, ListConfig) else list(node)
    for name in names:
        if not OmegaConf.is_interpolation(node, name) and not OmegaConf.is_missing(node, name):
            child = node[name]
            if isinstance(child, DictConfig | ListConfig):
                yield from iterate_targets(child)
            elif name == "_target_" and isinstance(node, DictConfig) and isinstance(child, str):
                yield node, child


def _rename_numbers_of_samples(config: DictConfig, is_old: bool) -> list[str]:
    """Rename `n_data` of evaluations to `n_samples`, and what was `n_samples` to `n_latent_samples`.

    It translates the nodes of an old run, and any node with `n_data`. In a node with `n_latent_samples`, `n_samples`
    already has its present meaning.
    """
    lines: dict[str, None] = {}
    moved: list[tuple[str, str]] = []
    for node, target in list(iterate_targets(config)):
        if not target.startswith("frame_eval.") or not (is_old or "n_data" in node):
            continue
        raw, key = _get_raw(node), get_key(node)
        with open_dict(node):
            if target in _N_LATENT_SAMPLES and "n_latent_samples" not in raw:
                node.n_latent_samples = raw.get("n_samples", _N_LATENT_SAMPLES[target])
                node.pop("n_samples", None)
                moved.append((f"{key}.n_samples", f"{key}.n_latent_samples"))
            if "n_data" in raw:
                del node["n_data"]
                node.n_samples = raw["n_data"]
                moved.append((f"{key}.n_data", f"{key}.n_samples"))
        lines[
            f"`n_data` of `{target}` is an old name: it is now `n_samples`, and the draws per example are "
            "`n_latent_samples`."
        ] = None
    for old, new in moved:
        _redirect_references(config, old, new)
    return list(lines)


def _write_min_scale(config: DictConfig) -> None:
    """Write the smallest scale into the distributions of an old run, because its default is larger now."""
    for node, target in list(iterate_targets(config)):
        kind = "posterior" if target in _ENCODERS else "distribution" if target in _STOCHASTIC else ""
        if not kind:
            continue
        name = OmegaConf.select(node, kind, default="Normal", throw_on_resolution_failure=False)
        if name in ("Normal", "Laplace"):
            with open_dict(node):
                node.setdefault("min_scale", _OLD_MIN_SCALE)


def _inline_sampling_params(config: DictConfig) -> list[str]:
    """Replace the mapping `sampling_params` of `ImageSampleEvaluation` by its keys."""
    lines: dict[str, None] = {}
    for node, target in list(iterate_targets(config)):
        if target == _SAMPLES and "sampling_params" in node:
            params = OmegaConf.select(node, "sampling_params", throw_on_resolution_failure=False)
            if isinstance(params, DictConfig | None):
                with open_dict(node):
                    del node["sampling_params"]
                    node.update(params or {})
                lines[f"`sampling_params` of `{_SAMPLES}` is an old name: its keys are now arguments."] = None
    return list(lines)


def _rename_keys(config: DictConfig) -> list[str]:
    """Rename keys in their mappings, and in the interpolations that refer to them."""
    lines: list[str] = []
    for old, new in RENAMED_KEYS.items():
        is_written = _redirect_references(config, old, new)
        parent, _, name = old.rpartition(".")
        node = OmegaConf.select(config, parent, throw_on_resolution_failure=False)
        if isinstance(node, DictConfig) and name in node:
            is_written = True
            value = _get_raw(node)[name]
            with open_dict(node):
                del node[name]
                node[new.rpartition(".")[2]] = value
        if is_written:
            lines.append(f"`{old}` is an old name: it is now `{new}`.")
    return lines


def _replace_joint_optimization(config: DictConfig) -> list[str]:
    """Replace `JointOptimization` of ``models`` by `BatchOptimization` of a `JointModel`, with all references."""
    optimization = OmegaConf.select(config, "optimization", throw_on_resolution_failure=False)
    if not isinstance(optimization, DictConfig) or _get_raw(optimization).get("_target_") != _JOINT_OPTIMIZATION:
        return []
    raw = _redirect(_get_raw(config), r"(?<![\w.])optimization\.models\b", "optimization.model.models")
    raw["optimization"]["_target_"] = _BATCH_OPTIMIZATION
    raw["optimization"]["model"] = {"_target_": _JOINT_MODEL, "models": raw["optimization"].pop("models", "???")}
    _update(config, raw)
    return [
        f"`{_JOINT_OPTIMIZATION}` with `models` is an old name: it is now `{_BATCH_OPTIMIZATION}` with "
        f"`model: {{_target_: {_JOINT_MODEL}, models: …}}`."
    ]


def _redirect_references(config: DictConfig, old: str, new: str) -> bool:
    """Replace a key in every interpolation of a config; return whether there was one."""
    raw = _get_raw(config)
    redirected = _redirect(raw, rf"(?<![\w.]){re.escape(old)}\b", new)
    if redirected != raw:
        _update(config, redirected)
    return redirected != raw


def _redirect(node: Any, path: str, new: str) -> Any:
    """Replace a path (a regular expression) in every interpolation of a plain container."""
    if isinstance(node, dict):
        return {name: _redirect(child, path, new) for name, child in cast(dict[Any, Any], node).items()}
    if isinstance(node, list):
        return [_redirect(child, path, new) for child in cast(list[Any], node)]
    return re.sub(path, new, node) if isinstance(node, str) and "${" in node else node


def _update(config: DictConfig, raw: dict[str, Any]) -> None:
    with open_dict(config):
        config.update(raw)


def _get_raw(config: DictConfig) -> dict[str, Any]:
    """Return a config as a plain container with unresolved interpolations."""
    return cast(dict[str, Any], OmegaConf.to_container(config, resolve=False))


def _rename_trainer_keys(trainer: DictConfig) -> list[str]:
    lines: list[str] = []
    with open_dict(trainer):
        if "gpus" in trainer:
            gpus = trainer.pop("gpus")
            gpus = int(gpus) if str(gpus).isdigit() else escape(gpus) if isinstance(gpus, str) else gpus
            trainer.accelerator = "gpu" if gpus else "cpu"
            trainer.devices = gpus or 1
            lines.append(
                f"`trainer.gpus: {gpus}` is an old name: it is now "
                f"`accelerator: {trainer.accelerator}` with `devices: {trainer.devices}`."
            )
        if "checkpoint_callback" in trainer:
            enabled = trainer.pop("checkpoint_callback")
            trainer.enable_checkpointing = escape(enabled) if isinstance(enabled, str) else enabled
            lines.append(
                f"`trainer.checkpoint_callback: {str(enabled).lower()}` is an old name: it is now "
                f"`enable_checkpointing: {str(enabled).lower()}`."
            )
    return lines
