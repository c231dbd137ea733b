"""Weights of a model in a file, and lines of Python that load it without the framework."""

import builtins
import json
import keyword
import math
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, ListConfig
from safetensors import SafetensorError
from safetensors.torch import save_model
from torch import nn

from frame_train.composition.objects import RESERVED_KEYS, get_key
from frame_train.errors import CompositionError


def export_model(model: nn.Module, config: DictConfig, path: Path, name: str | None = None) -> str:
    """Write the weights of a model as safetensors; return the lines of Python that build the model and load them.

    Args:
        model: The model.
        config: The config that describes it under ``optimization.model``.
        path: The file to write.
        name: The file that the lines read; ``path`` by default.

    Raises:
        CompositionError: The file can't be written.
    """
    source = _Source()
    variable = source.add_variable("model", source.write(config.optimization.model))
    try:
        save_model(model, str(path))
    except (OSError, SafetensorError) as error:
        raise CompositionError(f"`path`: {str(path)!r} can't be written: {error}.") from error
    for dtype in {parameter.dtype for parameter in model.parameters()} - {torch.get_default_dtype()}:
        source.lines.append(f"{variable}.to({source.use(str(dtype))})")
    load = source.use("safetensors.torch.load_model")
    source.lines.append(f"{load}({variable}, {_write_value(str(path) if name is None else name)})")
    source.lines.append(f"{variable}.eval()")
    return source.render()


class _Source:
    """Lines of Python that build components: imports, then variables for shared and for top-level components.

    Attributes:
        lines: The statements so far, without the imports.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._imports: dict[str, dict[str, str]] = defaultdict(dict)
        self._names = {*dir(builtins), *keyword.kwlist}
        self._variables: dict[int, str] = {}
        self._n_uses: Counter[int] = Counter()

    def write(self, node: Any) -> str:
        """Return an expression for a node, and add the lines that must precede it."""
        self._count_uses(node)
        return self._write(node, is_top=True)

    def add_variable(self, name: str, expression: str) -> str:
        """Add a line that assigns an expression to a variable; return its name, with a number if the name is taken."""
        name = self._make_name(name)
        if expression != name:
            self.lines.append(f"{name} = {expression}")
        return name

    def use(self, path: str) -> str:
        """Import the object of a dotted path, and return an expression for it."""
        module = path
        while module not in sys.modules:  # the model has been built, so its modules are imported
            module = module.rpartition(".")[0]
        name, *inner = path.removeprefix(f"{module}.").split(".")
        if name not in self._imports[module]:
            self._imports[module][name] = self._make_name(name)
        return ".".join([self._imports[module][name], *inner])

    def render(self) -> str:
        """Return all lines, imports first."""
        imports = [f"from {module} import {_list_names(names)}" for module, names in sorted(self._imports.items())]
        return "\n".join([*imports, "", *self.lines])

    def _count_uses(self, node: Any) -> None:
        if isinstance(node, DictConfig) and "_target_" in node:
            self._n_uses[id(node)] += 1
            if self._n_uses[id(node)] > 1:
                return
        if isinstance(node, DictConfig | ListConfig):
            for child in node if isinstance(node, ListConfig) else node.values():
                self._count_uses(child)

    def _write(self, node: Any, is_top: bool = False) -> str:
        if isinstance(node, ListConfig):
            return f"[{', '.join(map(self._write, node))}]"
        if not isinstance(node, DictConfig):
            return _write_value(node)
        if "_target_" not in node:
            return f"{{{', '.join(f'{_write_value(name)}: {self._write(value)}' for name, value in node.items())}}}"
        if id(node) in self._variables:
            return self._variables[id(node)]
        expression = self._write_call(node)
        if is_top or node.get("_copy_") or (_is_nested(node) and self._n_uses[id(node)] == 1):
            return expression
        self._variables[id(node)] = self.add_variable(_name(node), expression)
        return self._variables[id(node)]

    def _write_call(self, node: DictConfig) -> str:
        arguments = [self._write(item) for item in node.get("_args_", [])]
        for name in (name for name in node if name not in RESERVED_KEYS):
            if not isinstance(name, str) or not name.isidentifier() or keyword.iskeyword(name):
                key = get_key(node)
                raise CompositionError(f"`{key}` can't be exported: {name!r} is not the name of an argument.", key)
            arguments.append(f"{name}={self._write(node[name])}")
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
    """Return a plain value as a Python literal."""
    if isinstance(value, float) and not math.isfinite(value):
        return f'float("{value}")'
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) and value.isprintable() else repr(value)


def _name(node: DictConfig) -> str:
    """Name a component by the last part of its key."""
    name = re.sub(r"\W+", "_", get_key(node).rpartition(".")[2]).strip("_")
    return next(candidate for candidate in (name, f"part_{name}", "part") if candidate.isidentifier())


def _is_nested(node: DictConfig) -> bool:
    """Return whether a component is defined inside another one."""
    parent = node._get_parent()  # pyright: ignore[reportPrivateUsage]
    while parent is not None:
        if isinstance(parent, DictConfig) and "_target_" in parent:
            return True
        parent = parent._get_parent()  # pyright: ignore[reportPrivateUsage]
    return False
