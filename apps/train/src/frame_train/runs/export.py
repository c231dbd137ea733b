"""A model without the framework: a file of weights, and the lines of Python that load it."""

import builtins
import json
import keyword
import math
import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import torch
from omegaconf import DictConfig, ListConfig
from safetensors import SafetensorError
from safetensors.torch import save_model
from torch import nn

from frame_train.composition.objects import RESERVED_KEYS
from frame_train.errors import CompositionError


def export_model(model: nn.Module, config: DictConfig, path: Path) -> str:
    """Write the weights of a model as safetensors, and give the lines that build the model and load them.

    Args:
        model: The model; of several that were trained jointly, the model that holds them as ``models``.
        config: The config that describes it under ``optimization.model``, or ``optimization.models``.
        path: The file to write.

    Raises:
        CompositionError: It can't be written.
    """
    optimization = config.optimization
    source = _Source()
    if "model" in optimization:
        name = source.add_variable("model", source.write(optimization.model))
    else:
        name = source.add_variable(
            "models", f"{source.use('torch.nn.ModuleDict')}({source.write(optimization.models)})"
        )
        model = cast(nn.Module, model.models)
    try:
        save_model(model, str(path))
    except (OSError, SafetensorError) as error:
        raise CompositionError(f"`path`: {str(path)!r} can't be written: {error}.") from error
    for dtype in {parameter.dtype for parameter in model.parameters()} - {torch.get_default_dtype()}:
        source.lines.append(f"{name}.to({source.use(str(dtype))})")
    source.lines.append(f"{source.use('safetensors.torch.load_model')}({name}, {_write_value(str(path))})")
    source.lines.append(f"{name}.eval()")
    return source.render()


class _Source:
    """Lines of Python: imports, a variable for each component that stands for itself or is shared, a last expression.

    Attributes:
        lines: The statements so far, without the imports.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._imports: dict[str, dict[str, str]] = defaultdict(dict)
        self._names = {*dir(builtins), *keyword.kwlist}
        self._variables: dict[int, str] = {}

    def write(self, node: Any) -> str:
        """Give an expression for a node, and add the lines that it needs before it."""
        shared = _find_shared(node)
        return self._write(node, shared, is_top=True)

    def add_variable(self, name: str, expression: str) -> str:
        """Add a line that gives an expression a name, and give the name, which may have got a number."""
        name = self._make_name(name)
        if expression != name:
            self.lines.append(f"{name} = {expression}")
        return name

    def use(self, path: str) -> str:
        """Import what a dotted path names, and give the expression for it."""
        module = path
        while module not in sys.modules:  # all of it has been built
            module = module.rpartition(".")[0]
        name, *inner = path.removeprefix(f"{module}.").split(".")
        if name not in self._imports[module]:
            self._imports[module][name] = self._make_name(name)
        return ".".join([self._imports[module][name], *inner])

    def render(self) -> str:
        """Give all lines, imports first."""
        imports = [f"from {module} import {_list_names(names)}" for module, names in sorted(self._imports.items())]
        return "\n".join([*imports, "", *self.lines])

    def _write(self, node: Any, shared: set[int], is_top: bool = False) -> str:
        if isinstance(node, ListConfig):
            return f"[{', '.join(self._write(item, shared) for item in node)}]"
        if not isinstance(node, DictConfig):
            return _write_value(node)
        if "_target_" not in node:
            return f"{{{', '.join(f'{_write_value(name)}: {self._write(node[name], shared)}' for name in node)}}}"
        if id(node) in self._variables:
            return self._variables[id(node)]
        expression = self._write_call(node, shared)
        if is_top or node.get("_copy_") or not (id(node) in shared or _stands_for_itself(node)):
            return expression
        self._variables[id(node)] = self.add_variable(_name(node), expression)
        return self._variables[id(node)]

    def _write_call(self, node: DictConfig, shared: set[int]) -> str:
        arguments = [self._write(item, shared) for item in node.get("_args_", [])]
        arguments += [f"{name}={self._write(node[name], shared)}" for name in node if name not in RESERVED_KEYS]
        target = self.use(node["_target_"])
        if node.get("_partial_"):
            return f"{self.use('functools.partial')}({', '.join([target, *arguments])})"
        return f"{target}({', '.join(arguments)})"

    def _make_name(self, name: str) -> str:
        candidate, number = name, 1
        while candidate in self._names:
            number += 1
            candidate = f"{name}_{number}"
        self._names.add(candidate)
        return candidate


def _list_names(names: Mapping[str, str]) -> str:
    return ", ".join(name if name == alias else f"{name} as {alias}" for name, alias in sorted(names.items()))


def _write_value(value: Any) -> str:
    """Give a plain value as Python."""
    if isinstance(value, float) and not math.isfinite(value):
        return f'float("{value}")'
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def _name(node: DictConfig) -> str:
    """Name a component by the last part of its key."""
    key = node._get_full_key(None)  # pyright: ignore[reportPrivateUsage]
    name = re.sub(r"\W+", "_", key.rpartition(".")[2]).strip("_")
    return name if name.isidentifier() else f"part_{name}"


def _stands_for_itself(node: DictConfig) -> bool:
    """Say whether a component is not written inside of another one."""
    parent = node._get_parent()  # pyright: ignore[reportPrivateUsage]
    while parent is not None:
        if isinstance(parent, DictConfig) and "_target_" in parent:
            return False
        parent = parent._get_parent()  # pyright: ignore[reportPrivateUsage]
    return True


def _find_shared(node: Any) -> set[int]:
    """Find the components that are used more than once."""
    seen: set[int] = set()
    shared: set[int] = set()
    for component in _iterate_components(node, seen):
        (shared if component in seen else seen).add(component)
    return shared


def _iterate_components(node: Any, seen: set[int]) -> Iterator[int]:
    if isinstance(node, DictConfig) and "_target_" in node:
        is_new = id(node) not in seen
        yield id(node)
        if not is_new:
            return
    if isinstance(node, DictConfig | ListConfig):
        for child in node if isinstance(node, ListConfig) else (node[name] for name in node):
            yield from _iterate_components(child, seen)
