"""Exchange of the optimization: arguments that were written for another one are left out."""

from collections.abc import Iterator, Sequence
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf, open_dict

from frame_train.composition.objects import find_target
from frame_train.composition.signatures import TargetSignature, read_signature
from frame_train.composition.written_signatures import read_written_signature
from frame_train.errors import CompositionError

_OURS = tuple(
    f"frame_train.optimization.{name}"
    for name in ("AdamBatchOptimization", "AdversarialOptimization", "BatchOptimization")
)


def drop_foreign_arguments(config: DictConfig, arguments: Sequence[str]) -> list[str]:
    """Drop arguments of our optimizations that the chosen one does not take.

    A config file writes them for another optimization, which ``optimization=`` on the command line, or a target that is
    not ours, replaces. An argument on the command line is never dropped.

    Args:
        config: A composed config; it is changed.
        arguments: The command line that it is composed from.

    Returns:
        A line for each argument that would have had an effect.
    """
    node = OmegaConf.select(config, "optimization", throw_on_resolution_failure=False)
    raw = cast(dict[str, Any], OmegaConf.to_container(node, resolve=False)) if isinstance(node, DictConfig) else {}
    path = raw.get("_target_")
    typed = [argument.lstrip("+").partition("=")[0] for argument in arguments]
    if not isinstance(path, str) or (path in _OURS and "optimization" not in typed):
        return []
    lines: list[str] = []
    for name in _find_foreign(path, raw):
        if any(key == f"optimization.{name}" or key.startswith(f"optimization.{name}.") for key in typed):
            continue
        with open_dict(node):
            del node[name]
        if raw[name] not in (None, False):
            lines.append(f"`optimization.{name}` is left out, because `{path}` has no argument `{name}`.")
    return lines


def _find_foreign(path: str, names: Sequence[str] | dict[str, Any]) -> Iterator[str]:
    """Find the names that our optimizations take and a target does not."""
    known = {name for ours in _OURS for name in _list_parameters(read_written_signature(ours))}
    try:
        signature = read_written_signature(path) or read_signature(find_target(path, "optimization"))
    except CompositionError:  # it is reported elsewhere
        return
    parameters = _list_parameters(signature)
    takes_any = signature is None or any(
        part.kind is part.VAR_KEYWORD for part in signature.signature.parameters.values()
    )
    yield from (name for name in names if name in known and name not in parameters and not takes_any)


def _list_parameters(signature: TargetSignature | None) -> list[str]:
    return [] if signature is None else list(signature.signature.parameters)
