"""Options of the config groups, and the description at the top of each file."""

from collections.abc import Sequence
from pathlib import Path

from frame_train.composition.unreadable import read_text
from frame_train.errors import CompositionError, suggest


def find_groups(folders: Sequence[Path]) -> list[str]:
    """Find the groups in config folders, such as ``data`` and ``callbacks/checkpoint``."""
    files = [(folder, path) for folder in folders for path in folder.rglob("*.yaml")]
    return sorted({path.parent.relative_to(folder).as_posix() for folder, path in files} - {"."})


def read_options(group: str, folders: Sequence[Path]) -> dict[str, str]:
    """Read the options of a group, each with its description.

    Args:
        group: Name of the group.
        folders: The config folders; an earlier one takes precedence.

    Raises:
        CompositionError: The group does not exist.
    """
    groups = find_groups(folders)
    if group not in groups:
        message = f"There is no group `{group}`, only {', '.join(groups)}.{suggest(group, groups)}"
        raise CompositionError(message)
    paths = {path.stem: path for folder in reversed(folders) for path in (folder / group).glob("*.yaml")}
    return {name: _read_description(path) for name, path in sorted(paths.items())}


def _read_description(path: Path) -> str:
    """Read the first comment line that is not a directive, without the command that runs the option."""
    for line in read_text(path).splitlines():
        if not line.startswith("#"):
            break
        text = line.lstrip("# ").strip()
        if not text.startswith(("@package", "yaml-language-server:")):
            return text.partition(": uv run train")[0]
    return ""
