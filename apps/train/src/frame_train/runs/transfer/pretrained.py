"""Parts of stored runs as parts of a new model."""

from collections.abc import Iterator, Sequence
from inspect import signature
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf, open_dict
from torch import nn

from frame_train.composition.foreign.allow_list import AllowList
from frame_train.composition.foreign.interpolations import escape
from frame_train.composition.legacy import iterate_targets
from frame_train.composition.objects import RESERVED_KEYS, Composition, get_key, iterate_components, read_entry
from frame_train.errors import CompositionError, suggest
from frame_train.runs.location import locate
from frame_train.runs.stored import load_run, read_config

_TARGETS = ("frame_train.Pretrained", "frame_train.runs.transfer.pretrained.Pretrained")
_FREEZE = ("frame_core.freeze", "frame_core.freezing.freeze")


def Pretrained(  # noqa: N802  # a component of configs, named like one
    run: str | Path, part: str, frozen: bool = True, weights: str = "last", allow: Sequence[str] = ()
) -> nn.Module:
    """Load a part of a stored run, for a new model.

    In a config, it stands in place of the part:
    ``encoder: {_target_: frame_train.Pretrained, run: runs/MNIST/VAE/…, part: model.encoder}``. The new run directory
    has the config of the part, and its checkpoints have the weights. So the new run does not need the old one.

    The run may be somebody else's. It is opened as `load_run` opens it.

    Args:
        run: A run directory, a checkpoint in it, or ``entity/project/run_id`` of W&B.
        part: Key of the part in the config of the run: ``model``, or a component of it, such as ``model.encoder``.
        frozen: Whether `frame_core.freeze` freezes the part. If False, all of it is trained, even what was frozen in
            the run.
        weights: ``best``, ``last``, the name of another file in ``checkpoints``, or a path.
        allow: Your own packages, modules, dotted paths or resolvers that the config of the run may name.

    Raises:
        CompositionError: The run can't be loaded, or has no such part.
    """
    source = load_run(run, weights, allow)
    _find_part(source.config, part)
    original = source.instantiate(f"optimization.{part}")
    if not any(original is module for module in source.model.modules()):
        raise CompositionError(f"`part`: {part!r} of {str(source.directory)!r} is not a module of its model.")
    config = OmegaConf.create({"copy": _copy_part(source.config, part, frozen, "copy")})
    allowed = AllowList("optimization.model", source.directory, allow)
    module = Composition().limited_to(allowed).instantiate(config["copy"])
    module.load_state_dict(original.state_dict(), assign=True)  # in the precision in which they were trained
    return module


def inline_pretrained(config: DictConfig) -> dict[str, Any]:
    """Replace every `Pretrained` in a config by the config of its part, so that the config needs no other run.

    Args:
        config: A composed config, which is modified.

    Returns:
        The arguments of each `Pretrained`, by its key.
    """
    sources: dict[str, Any] = {}
    for node, _ in [pair for pair in iterate_targets(config) if pair[1] in _TARGETS]:
        positional = read_entry(node, "_args_") if "_args_" in node else []
        named = {str(name): read_entry(node, name) for name in node if name not in RESERVED_KEYS}
        bound = signature(Pretrained).bind(*positional, **named)
        bound.apply_defaults()
        run, part, frozen, weights, allow = bound.args
        directory, _ = locate(run, weights)
        key = get_key(node)
        copied = _copy_part(read_config(directory, allow), part, frozen, key)
        with open_dict(node):
            for name in list(node):
                del node[name]
            node.update(copied)
        sources[key] = {"run": str(directory), "part": part, "frozen": frozen, "weights": weights}
    return sources


def find_misplaced(config: DictConfig) -> Iterator[CompositionError]:
    """Find each `Pretrained` whose weights the checkpoints of the run would not have, such as that of an evaluation."""
    data = OmegaConf.select(config, "optimization.data", throw_on_resolution_failure=False)
    kept = {id(part) for part in iterate_components(config.optimization, known={id(data)})}
    for node, target in iterate_targets(config):
        if target in _TARGETS and id(node) not in kept:
            key = get_key(node)
            yield CompositionError(f"`{key}`: `Pretrained` must be a part of the model, which checkpoints save.", key)


def _find_part(config: DictConfig, part: str) -> DictConfig:
    """Return the node of a part of the model.

    Raises:
        CompositionError: There is no such part.
    """
    is_of_model = part == "model" or part.startswith("model.")
    node = OmegaConf.select(config, f"optimization.{part}", throw_on_missing=False) if is_of_model else None
    if not isinstance(node, DictConfig) or "_target_" not in node:
        parts = list(_iterate_parts(config.optimization.model, "model", set()))
        raise CompositionError(f"`part`: the run has no {part!r}, only {', '.join(parts)}.{suggest(part, parts)}")
    return node


def _iterate_parts(node: Any, key: str, known: set[int]) -> Iterator[str]:
    """Yield the key of each component of a model once."""
    if not isinstance(node, DictConfig | ListConfig) or id(node) in known:
        return
    known.add(id(node))
    if "_target_" in node:
        yield key
    for name in range(len(node)) if isinstance(node, ListConfig) else node:
        yield from _iterate_parts(read_entry(node, name), f"{key}.{name}", known)


def _copy_part(config: DictConfig, part: str, frozen: bool, place: str) -> dict[str, Any]:
    """Return the config of a part as plain containers, without references to the rest of the config.

    Args:
        config: The config of a stored run.
        part: Key of the part.
        frozen: Whether the part is frozen in the copy.
        place: Key of the copy in its own config.
    """
    node = _find_part(config, part)
    if not frozen:
        return _copy(node, place, {})
    return {"_target_": _FREEZE[0], "module": _copy(node, f"{place}.module", {})}


def _copy(node: Any, place: str, places: dict[int, str]) -> Any:
    """Copy a node. A part that was copied before becomes a reference, so that it remains one object."""
    if not isinstance(node, DictConfig | ListConfig):
        return escape(node) if isinstance(node, str) else node
    if isinstance(node, DictConfig) and node.get("_target_") in _FREEZE:
        module = read_entry(node, "module") if "module" in node else read_entry(read_entry(node, "_args_"), 0)
        return _copy(module, place, places)
    if id(node) in places:
        return f"${{{places[id(node)]}}}"
    if isinstance(node, ListConfig) or not node.get("_copy_"):
        places[id(node)] = place
    if isinstance(node, ListConfig):
        return [_copy(read_entry(node, index), f"{place}.{index}", places) for index in range(len(node))]
    return {name: _copy(read_entry(node, name), f"{place}.{name}", places) for name in node}
