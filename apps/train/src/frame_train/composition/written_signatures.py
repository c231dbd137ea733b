"""Signatures of our classes and functions, read from source files without an import."""

import ast
import functools
from collections.abc import Callable, Mapping, Sequence
from importlib.machinery import PathFinder
from inspect import Parameter, Signature, signature
from itertools import chain
from pathlib import Path
from typing import Any, Literal

from frame_train.composition.signatures import TargetSignature

_OURS = ("frame_architectures", "frame_core", "frame_eval", "frame_loggers", "frame_models", "frame_train")
"""Packages without metaclasses, so the signature of a class is that of its ``__init__``."""

_NAMES: dict[str, Any] = {
    **{kind.__name__: kind for kind in (bool, float, int, str, dict, list, tuple, Mapping, Sequence)},
    "Callable": Callable,
    "Literal": Literal,
    "__builtins__": {},
}
"""Names that an annotation may use. A parameter with another name in its annotation counts as not annotated."""

_Definition = ast.FunctionDef | ast.ClassDef


@functools.cache
def read_written_signature(path: str) -> TargetSignature | None:
    """Return the signature of a ``_target_``, or None if the target is not ours or is not defined in its file."""
    module, definition = _find(*path.rpartition(".")[::2]) if path.partition(".")[0] in _OURS else (path, None)
    function = _find_init(definition) if isinstance(definition, ast.ClassDef) else definition
    if definition is None or function is None or definition.decorator_list or function.decorator_list:
        return None
    parameters = _list_parameters(function.args)
    if isinstance(definition, ast.ClassDef):
        del parameters[0]  # self
    return TargetSignature(f"{module}.{definition.name}", Signature(parameters))


def _find(module: str, name: str) -> tuple[str, _Definition | None]:
    """Find a public definition, in its module or in the module that it is imported from."""
    file = None if name.startswith("_") else _find_file(*module.split("."))
    body = ast.parse(file.read_text(encoding="utf-8")).body if file else []
    for statement in chain.from_iterable(part.body if isinstance(part, ast.If) else [part] for part in body):
        if isinstance(statement, _Definition) and statement.name == name:
            return module, statement
        if isinstance(statement, ast.ImportFrom) and statement.module not in (None, module) and not statement.level:
            for alias in statement.names:
                if (alias.asname or alias.name) == name:
                    return _find(str(statement.module), alias.name)
    return module, None


def _find_file(package: str, *names: str) -> Path | None:
    """Find the file of a module."""
    spec = PathFinder.find_spec(package) if package else None
    if spec is None or spec.origin is None:
        return None
    place = Path(spec.origin).parent.joinpath(*names)
    return next((file for file in (place / "__init__.py", place.with_suffix(".py")) if file.is_file()), None)


def _find_init(definition: ast.ClassDef) -> ast.FunctionDef | None:
    functions = {part.name: part for part in definition.body if isinstance(part, ast.FunctionDef)}
    return None if "__new__" in functions else functions.get("__init__")


def _list_parameters(arguments: ast.arguments) -> list[Parameter]:
    """List the parameters of a function; each default is None."""
    arguments.defaults = [ast.Constant(None) for _ in arguments.defaults]
    arguments.kw_defaults = [default and ast.Constant(None) for default in arguments.kw_defaults]
    stub: dict[str, Any] = {}
    exec(f"from __future__ import annotations\ndef function({ast.unparse(arguments)}): ...", stub)
    parameters = signature(stub["function"]).parameters.values()
    return [parameter.replace(annotation=_read_type(parameter.annotation)) for parameter in parameters]


def _read_type(annotation: str) -> Any:
    try:
        kind = eval(annotation, _NAMES)
    except Exception:  # any type, because the annotation may be any expression
        return Parameter.empty
    return Parameter.empty if isinstance(kind, str) else kind
