"""Short messages for config files that can't be read: their encoding, syntax, ending or first line."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from yaml import YAMLError, safe_load

from frame_train.errors import CompositionError

_OPTION_GROUPS = ("optimization", "model", "data", "architectures", "evaluation", "callbacks", "logger")
_BYTE_ORDER_MARK = "\ufeff"


def explain_yaml(error: YAMLError) -> str:
    """Explain a syntax error of YAML, with the line and what to write instead."""
    mark: Any = getattr(error, "problem_mark", None)
    path = Path(getattr(mark, "name", ""))
    lines = read_text(path).splitlines() if path.is_file() else []
    line = lines[mark.line] if mark is not None and mark.line < len(lines) else ""
    advice = ""
    if "\t" in line:
        advice = "\nIndent with spaces, not with a tab."
    elif re.search(r"[{\[][^\"']*\$\{", line):
        advice = '\nInside braces or brackets, write a reference in quotes: `{beta: "${params.beta}"}`.'
    return f"The config can't be composed: {error}{advice}"


def find_undecodable(folders: Iterable[Path]) -> Path | None:
    """Return a config file that is not UTF-8, or None if there is none."""
    for folder in folders:
        for path in sorted(folder.rglob("*.yaml")):
            if "\ufffd" in read_text(path):
                return path
    return None


def read_text(path: Path) -> str:
    """Read a text file; bytes that are not UTF-8 are replaced."""
    return path.read_text(encoding="utf-8", errors="replace")


def check_first_line(path: Path) -> None:
    """Check that nothing hides the package in the first line of an experiment.

    Raises:
        CompositionError: The file begins with an invisible mark, or the package is not the global one.
    """
    first = read_text(path).partition("\n")[0]
    if first.startswith(_BYTE_ORDER_MARK):
        message = f"`experiment`: {str(path)!r} begins with an invisible byte order mark. Save it as UTF-8 without it."
        raise CompositionError(message)
    match = re.match(r"#\s*@package\s+(\S+)", first)
    if match is not None and match[1] != "_global_":
        message = f"`experiment`: the first line of {str(path)!r} must be `# @package _global_`, got {first!r}."
        raise CompositionError(message)


def explain_list(path: Path | None) -> str:
    """Explain that a config file has a list of options outside its defaults list."""
    content = safe_load(read_text(path)) if path is not None else {}
    listed = next((group for group in _OPTION_GROUPS if isinstance(content.get(group), list)), None)
    if listed is None:
        return "expected a mapping of names to components, such as `callbacks`, got a list."
    names = ", ".join(map(str, content[listed]))
    return f"`{listed}` must be a mapping, got a list. {advise_defaults(listed, f'[{names}]')}\n  in {path}"


def advise_defaults(group: str, option: str) -> str:
    """Return how to choose options of a group."""
    if group == "logger":
        return f"To choose a logger, write `logging={option.strip('[]')}` on the command line."
    return f"To choose an option, write `/{group}: {option}` in `defaults`."


def check_no_option_name(config: DictConfig) -> None:
    """Check that no group of a composed config is the name of an option.

    Raises:
        CompositionError: A group is a text.
    """
    for group in _OPTION_GROUPS:
        if group not in config or OmegaConf.is_interpolation(config, group):  # a missing value is not in it either
            continue
        value = config.get(group)
        if isinstance(value, str):
            message = f"`{group}` must be a mapping of names to components, got {value!r}."
            raise CompositionError(f"{message} {advise_defaults(group, value)}", group)
