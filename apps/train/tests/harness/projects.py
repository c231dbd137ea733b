"""A folder of a user, with Python code and an experiment of its own."""

from pathlib import Path
from typing import NamedTuple

import frame_train
from frame_train import Result, Run


class Project(NamedTuple):
    """A user's folder, which has an experiment of the same name."""

    name: str
    folder: Path

    @property
    def experiment(self) -> list[str]:
        """Arguments that choose the experiment."""
        return [f"--config-dir={self.folder / 'config'}", f"+experiment={self.name}", "logging=none"]

    def train(self, *overrides: str) -> Result:
        """Train the experiment from Python."""
        root = f"device.experiments_root={self.folder / 'runs'}"
        return frame_train.train([*self.experiment, "~callbacks.progress_bar", root, *overrides])

    def load(self, result: Result) -> Run:
        """Load a run whose config names the user's own code."""
        return frame_train.load_run(result.directory, allow=[self.name])
