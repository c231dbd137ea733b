"""Signatures as they are written: of a class or a function of ours, read from its file, so that nothing is imported."""

import ast
import functools
from collections.abc import Callable, Mapping, Sequence
from importlib.machinery import PathFinder
from inspect import Parameter, Signature
from pathlib import Path
from typing import Any, Literal, NamedTuple

_OURS = ("frame_architectures", "frame_core", "frame_eval", "frame_loggers", "frame_models", "frame_train")
"""Packages whose classes are written as they are read here: no other signature than that of `__init__` is theirs."""

_TYPES: dict[str, Any] = {
    **{kind.__name__: kind for kind in (bool, float, int, str, dict, list, tuple, Mapping, Sequence)},
    "Callable": Callable,
    "Literal": Literal,
}
_OF_TYPES = (ast.Name, ast.Constant, ast.Subscript, ast.Tuple, ast.List, ast.BinOp, ast.BitOr, ast.Load)

_Definition = ast.FunctionDef | ast.ClassDef


class Written(NamedTuple):
    """What is written of a target: its full name, and its signature, without the types that are not plain ones."""

    name: str
    signature: Signature


@functools.cache
def read_written_signature(path: str) -> Written | None:
    """Read the signature of what a ``_target_`` names; None where it is not ours, or its file does not tell."""
    found = _find(path.split(".")) if path.partition(".")[0] in _OURS else None
    if found is None:
        return None
    module, definition = found
    function = definition if isinstance(definition, ast.FunctionDef) else _find_init(definition)
    if function is None or definition.decorator_list or function.decorator_list:
        return None
    parameters = _list_parameters(function.args)
    if isinstance(definition, ast.ClassDef):
        parameters = parameters[1:]
    return Written(f"{module}.{definition.name}", Signature(parameters))


def _find(names: Sequence[str]) -> tuple[str, _Definition] | None:
    """Find a definition, in its module or in one that the module has it from."""
    *module, name = names
    file = _find_file(module)
    if file is None or name.startswith("_"):
        return None
    body = ast.parse(file.read_text(encoding="utf-8")).body
    for statement in (part for outer in body for part in (outer.body if isinstance(outer, ast.If) else [outer])):
        if isinstance(statement, _Definition) and statement.name == name:
            return ".".join(module), statement
        if isinstance(statement, ast.ImportFrom) and statement.module and statement.level == 0:
            for alias in statement.names:
                if (alias.asname or alias.name) == name:
                    origin = statement.module.split(".")
                    return None if origin == module else _find([*origin, alias.name])  # a module of its own
    return None


def _find_file(module: Sequence[str]) -> Path | None:
    """Find the file of a module."""
    spec = PathFinder.find_spec(module[0]) if module else None
    if spec is None or not spec.submodule_search_locations:
        return None
    place = Path(next(iter(spec.submodule_search_locations)), *module[1:])
    return next((file for file in (place / "__init__.py", place.with_suffix(".py")) if file.is_file()), None)


def _find_init(definition: ast.ClassDef) -> ast.FunctionDef | None:
    functions = {part.name: part for part in definition.body if isinstance(part, ast.FunctionDef)}
    return None if "__new__" in functions else functions.get("__init__")


def _list_parameters(arguments: ast.arguments) -> list[Parameter]:
    plain = [*arguments.posonlyargs, *arguments.args]
    n_required = len(plain) - len(arguments.defaults)
    parameters: list[Parameter] = []
    for index, part in enumerate(plain):
        kind = Parameter.POSITIONAL_ONLY if index < len(arguments.posonlyargs) else Parameter.POSITIONAL_OR_KEYWORD
        parameters.append(_make(part, kind, has_default=index >= n_required))
    if arguments.vararg:
        parameters.append(_make(arguments.vararg, Parameter.VAR_POSITIONAL, has_default=False))
    for part, default in zip(arguments.kwonlyargs, arguments.kw_defaults):
        parameters.append(_make(part, Parameter.KEYWORD_ONLY, has_default=default is not None))
    if arguments.kwarg:
        parameters.append(_make(arguments.kwarg, Parameter.VAR_KEYWORD, has_default=False))
    return parameters


def _make(part: ast.arg, kind: Any, has_default: bool) -> Parameter:
    default = None if has_default else Parameter.empty
    return Parameter(part.arg, kind, default=default, annotation=_read_type(part.annotation))


def _read_type(annotation: ast.expr | None) -> Any:
    """Read a type that is made of plain ones; of any other, it is as if it were not annotated."""
    if annotation is None or not all(isinstance(part, _OF_TYPES) for part in ast.walk(annotation)):
        return Parameter.empty
    try:
        kind = eval(compile(ast.Expression(annotation), "annotation", "eval"), {"__builtins__": {}, **_TYPES})
    except Exception:  # whatever comes of what is no type
        return Parameter.empty
    return Parameter.empty if isinstance(kind, str) else kind
