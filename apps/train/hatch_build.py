"""Build hook that adds the config files of the repository to the wheel."""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ConfigHook(BuildHookInterface):
    """Build hook that includes ``config/``; an editable install reads it from the repository."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Include the folder, from a source distribution or from the repository."""
        if version == "editable":
            return
        root = Path(self.root)
        folders = (root / "config", root.parent.parent / "config")
        config = next(folder for folder in folders if folder.is_dir())
        build_data["force_include"][str(config)] = "frame_train/config"
