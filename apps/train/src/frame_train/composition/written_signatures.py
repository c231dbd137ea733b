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
}
"""Names that an annotation may use, beside classes of ours. With any other name, a parameter accepts all values."""

_PLAIN_BASES = {"Protocol", "TypedDict", "NamedTuple", "Enum", "StrEnum", "IntEnum", "str", "int", "float", "dict"}

_Definition = ast.FunctionDef | ast.ClassDef


@functools.cache
def read_written_signature(path: str) -> TargetSignature | None:
    """Return the signature of a ``_target_``, or None if the target is not ours or is not defined in its file."""
    module, definition = _find(*path.rpartition(".")[::2]) if path.partition(".")[0] in _OURS else (path, None)
    function = _find_init(definition) if isinstance(definition, ast.ClassDef) else definition
    if definition is None or function is None or definition.decorator_list or function.decorator_list:
        return None
    parameters = _list_parameters(function.args, module)
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
        if isinstance(statement, ast.ImportFrom) and _is_other_of_ours(statement, module):
            for alias in statement.names:
                if (alias.asname or alias.name) == name:
                    return _find(str(statement.module), alias.name)
    return module, None


def _is_other_of_ours(statement: ast.ImportFrom, module: str) -> bool:
    source = statement.module or ""
    return source != module and not statement.level and source.partition(".")[0] in _OURS


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


def _list_parameters(arguments: ast.arguments, module: str) -> list[Parameter]:
    """List the parameters of a function in a module; each default is None."""
    arguments.defaults = [ast.Constant(None) for _ in arguments.defaults]
    arguments.kw_defaults = [default and ast.Constant(None) for default in arguments.kw_defaults]
    stub: dict[str, Any] = {}
    exec(f"from __future__ import annotations\ndef function({ast.unparse(arguments)}): ...", stub)
    parameters = signature(stub["function"]).parameters.values()
    return [parameter.replace(annotation=_read_type(parameter.annotation, module)) for parameter in parameters]


class _Names(dict[str, Any]):
    """`_NAMES`, and a stand-in for each class of ours in a module, of which no plain value is an instance."""

    def __init__(self, module: str) -> None:
        super().__init__(_NAMES)
        self._module = module

    def __missing__(self, name: str) -> type:
        _, definition = _find(self._module, name)
        if not isinstance(definition, ast.ClassDef) or definition.decorator_list or _takes_plain_values(definition):
            raise KeyError(name)
        return type(name, (), {})


def _takes_plain_values(definition: ast.ClassDef) -> bool:
    """Return whether a class may have instances that are plain values, such as a protocol or an enumeration."""
    return bool({ast.unparse(base).partition("[")[0] for base in definition.bases} & _PLAIN_BASES)


def _read_type(annotation: str, module: str) -> Any:
    try:
        kind = eval(annotation, {"__builtins__": {}}, _Names(module))
    except Exception:  # any type, because the annotation may be any expression
        return Parameter.empty
    return Parameter.empty if isinstance(kind, str) else kind
