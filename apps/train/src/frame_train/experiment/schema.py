"""JSON Schema of an experiment file, made from the signatures of all classes that config files can name."""

import importlib
import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from frame_train.composition.objects import RESERVED_KEYS, find_target
from frame_train.composition.signatures import read_signature
from frame_train.errors import CompositionError
from frame_train.experiment.option_schema import OptionTree, describe_defaults, describe_params, read_tree

_PACKAGES = (
    "frame_core",
    "frame_models",
    "frame_architectures",
    "frame_eval",
    "frame_loggers",
    "frame_train",
    "frame_train.callbacks",
    "frame_train.data",
    "frame_train.optimization",
)
_TRAINER = "pytorch_lightning.Trainer"
_GROUPS = ("optimization", "evaluation", "callbacks", "logger", "model", "data", "architectures")
_SCALARS = {bool: "boolean", int: "integer", float: "number", NoneType: "null"}
_RESERVED = f"^({'|'.join(RESERVED_KEYS)})$"
_REFERENCE = {"type": "string", "pattern": r"\$\{", "description": "a reference such as ${params.lr}"}


def make_schema(folders: Sequence[Path]) -> dict[str, Any]:
    """Make the JSON Schema of an experiment file.

    Args:
        folders: The config folders. The schema has the classes that their files name, and the public classes of our
            packages.
    """
    tree = read_tree(folders)
    targets = sorted({_TRAINER, *_list_public(), *tree.list_targets()})
    described = {name: schema for name in targets for schema in _describe_target(name)}
    settings = _describe_settings(folders[-1] / "train.yaml")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            **settings,
            **{
                group: {**settings.get(group, {}), **tree.entries.get(group, OptionTree()).describe(described)}
                for group in _GROUPS
            },
            "defaults": describe_defaults(folders),
            "params": describe_params(folders),
            "trainer": {"description": "options of the Trainer", "$ref": f"#/$defs/{_TRAINER}"},
        },
        "additionalProperties": {"$ref": "#/$defs/node"},
        "$defs": {
            **described,
            "reference": _REFERENCE,
            "component": {"type": "object", "required": ["_target_"], "$ref": "#/$defs/node"},
            "node": _describe_node(described),
        },
    }


def _describe_node(described: Mapping[str, Any]) -> dict[str, Any]:
    """Describe any part of a config: an object with a ``_target_`` has the arguments of that target."""
    names = [{"const": name, "description": schema["description"]} for name, schema in described.items()]
    return {
        "if": {"type": "object", "required": ["_target_"]},
        "then": {
            "properties": {"_target_": {"anyOf": [*names, {"type": "string"}]}},
            "allOf": [
                {"if": {"properties": {"_target_": {"const": name}}}, "then": {"$ref": f"#/$defs/{name}"}}
                for name in described
            ],
        },
        "else": {"additionalProperties": {"$ref": "#/$defs/node"}, "items": {"$ref": "#/$defs/node"}},
    }


def _list_public() -> Iterator[str]:
    for package in _PACKAGES:
        module = importlib.import_module(package)
        yield from (f"{package}.{name}" for name in module.__all__ if callable(getattr(module, name)))


def _describe_target(name: str) -> Iterator[dict[str, Any]]:
    """Yield the schema of a target, unless it can't be imported or has no signature."""
    try:
        target = find_target(name, "_target_")
    except CompositionError:
        return
    found = read_signature(target)
    if found is None:
        return
    parameters = [part for part in found.signature.parameters.values() if part.kind is not part.VAR_POSITIONAL]
    takes_any = any(part.kind is part.VAR_KEYWORD for part in parameters)
    text = inspect.getdoc(target) or ""
    arguments = _read_arguments(text) or _read_arguments(inspect.getdoc(target.__init__) or "")
    yield {
        "type": "object",
        "description": text.partition("\n\n")[0].replace("\n", " "),
        "properties": {
            part.name: {**_describe_value(part.annotation), "description": arguments.get(part.name, "")}
            for part in parameters
            if part.kind is not part.VAR_KEYWORD
        },
        "patternProperties": {_RESERVED: {}},
        **({} if takes_any else {"additionalProperties": False}),
    }


def _describe_value(annotation: Any) -> dict[str, Any]:
    """Describe a value: one of the annotated type, a reference, or a component."""
    described = _describe_type(annotation)
    others = [{"$ref": "#/$defs/reference"}, {"$ref": "#/$defs/component"}]
    return {"anyOf": [described, *others]} if described else {"$ref": "#/$defs/node"}


def _describe_type(annotation: Any) -> dict[str, Any]:
    """Describe a type that YAML can write; any other type is not restricted."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if annotation in _SCALARS:
        return {"type": _SCALARS[annotation]}
    if annotation is None:
        return {"type": "null"}
    if annotation is str:
        return {"type": ["string", "number"]}  # YAML reads the name `12` as a number
    if origin is Literal:
        return {"enum": list(parts)}
    if origin in (Union, UnionType):
        described = [_describe_type(part) for part in parts]
        return {"anyOf": described} if all(described) else {}
    if origin in (list, Sequence):
        return {"type": "array", "items": _describe_value(parts[0])}
    if origin in (dict, Mapping):
        return {"type": "object"}
    return {}


def _read_arguments(docstring: str) -> dict[str, str]:
    """Read the descriptions of the arguments from a docstring in Google's style."""
    section = re.search(r"^Args:\n((?:[ ]{4}.*\n?|\n)*)", docstring, re.MULTILINE)
    entries = re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", section[1] if section else "", re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in entries}


def _describe_settings(path: Path) -> dict[str, Any]:
    """Describe the keys of ``train.yaml`` with their comments. The keys of its mappings are complete."""
    lines = path.read_text(encoding="utf-8").splitlines()
    settings: dict[str, Any] = {}
    inner: dict[str, Any] = {}
    for line in lines:
        match = re.fullmatch(r"( *)(\w+):\s*(.*?)\s*(?:# (.*))?", line)
        if match is None:
            continue
        indent, key, value, comment = match.groups()
        if not indent:
            inner = {}
            settings[key] = {"description": comment or ""}
            if not value and key not in ("defaults", "hydra"):
                settings[key] |= {"type": "object", "properties": inner, "additionalProperties": False}
        elif len(indent) == 2:
            inner[key] = {"description": comment or ""}
    return settings
