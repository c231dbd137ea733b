"""Puts the option files of the repository's top into the wheel, beside the package that reads them."""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ConfigHook(BuildHookInterface):
    """Includes ``config/``; an editable install reads it where it stands."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Include the folder from a source distribution or from the repository, whichever this is."""
        if version == "editable":
            return
        root = Path(self.root)
        folders = (root / "config", root.parent.parent / "config")
        config = next(folder for folder in folders if folder.is_dir())
        build_data["force_include"][str(config)] = "frame_train/config"
