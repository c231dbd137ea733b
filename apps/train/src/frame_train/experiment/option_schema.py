"""Parts of the JSON Schema for what an experiment takes from options: entries of groups, defaults and params."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from yaml import YAMLError, safe_load

from frame_train.composition.options import find_groups, read_options
from frame_train.composition.unreadable import read_text

_NODE = {"$ref": "#/$defs/node"}


@dataclass
class OptionTree:
    """The targets that config files name at a key, and below it.

    Args:
        targets: The targets of the key itself; different options may have different ones.
        entries: The trees of the keys below it.
    """

    targets: set[str] = field(default_factory=set[str])
    entries: "dict[str, OptionTree]" = field(default_factory=dict[str, "OptionTree"])

    def list_targets(self) -> Iterator[str]:
        """Yield all targets in the tree."""
        yield from self.targets
        for entry in self.entries.values():
            yield from entry.list_targets()

    def add(self, node: Any) -> None:
        """Add the targets of a node of a config file. Entries of a list belong to no key."""
        if isinstance(node, list):
            for item in cast(list[Any], node):
                self.entries.setdefault("", OptionTree()).add(item)
        if isinstance(node, Mapping):
            for key, value in cast(Mapping[Any, Any], node).items():
                if key == "_target_" and isinstance(value, str) and "${" not in value:
                    self.targets.add(value)
                elif isinstance(value, Mapping | list):
                    self.entries.setdefault(str(key), OptionTree()).add(value)

    def describe(self, described: Collection[str]) -> dict[str, Any]:
        """Describe what an experiment may write at the key.

        An object with a ``_target_`` stands for itself. Any other object changes entries of an option, so it has the
        arguments of one of the targets that options have there.

        Args:
            described: The targets with a schema of their own.
        """
        if not self.targets and not self.entries:
            return _NODE
        entries = {key: tree.describe(described) for key, tree in self.entries.items() if key}
        known = [{"$ref": f"#/$defs/{target}"} for target in sorted(self.targets)]
        change: dict[str, Any] = {"properties": entries}
        if not self.targets:
            change["additionalProperties"] = _NODE
        elif self.targets <= set(described):
            change |= known[0] if len(known) == 1 else {"anyOf": known}
        return {
            "if": {"type": "object", "not": {"required": ["_target_"]}},
            "then": change,
            "else": _NODE,
        }


def read_tree(folders: Sequence[Path]) -> OptionTree:
    """Read the targets of all options and experiments in config folders. A malformed file is left out."""
    root = OptionTree()
    for folder in folders:
        for path in sorted(folder.rglob("*.yaml")):
            group = path.relative_to(folder).parts[0]
            try:
                text = path.read_text(encoding="utf-8")
                content = safe_load(text)
            except (OSError, ValueError, YAMLError):
                continue
            is_global = text.startswith("# @package _global_") or path.parent == folder
            (root if is_global else root.entries.setdefault(group, OptionTree())).add(content)
    return root


def describe_defaults(folders: Sequence[Path]) -> dict[str, Any]:
    """Describe a defaults list: experiments, and options of groups, which a file may also add or override."""
    groups = {group: list(read_options(group, folders)) for group in find_groups(folders)}
    choices = {
        f"{word}/{group}": {"anyOf": [{"enum": options}, {"type": ["string", "array", "null"]}]}
        for group, options in groups.items()
        for word in ("", "override ")
        if group != "experiment"
    }
    return {
        "type": "array",
        "description": "options of groups, such as `- /data: MNIST`",
        "items": {
            "anyOf": [
                {"enum": ["_self_", *groups.get("experiment", [])]},
                {"type": "string"},
                {"type": "object", "properties": choices},
            ]
        },
    }


def describe_params(folders: Sequence[Path]) -> dict[str, Any]:
    """Describe the params of all experiments with their comments. An experiment may have others."""
    properties: dict[str, Any] = {}
    for folder in folders:
        for path in sorted((folder / "experiment").glob("*.yaml")):
            block = re.search(r"^params:\n((?:[ #].*\n|\n)*)", read_text(path), re.MULTILINE)
            for key, comment in re.findall(r"^  (\w+):[^#\n]*(?:# (.*))?$", block[1] if block else "", re.MULTILINE):
                properties.setdefault(key, {"description": comment} if comment else {})
    return {
        "type": "object",
        "description": "hyper-parameters; each number is written here once",
        "properties": properties,
    }
