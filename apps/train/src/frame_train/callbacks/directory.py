"""Report of the run directory to the command that starts the training."""

from collections.abc import Callable
from pathlib import Path

from pytorch_lightning import Callback, LightningModule, Trainer


class DirectoryCallback(Callback):
    """Callback that reports the run directory when training starts.

    Args:
        report: Function that receives the run directory.
    """

    call_every = 0

    def __init__(self, report: Callable[[Path], None]) -> None:
        self._report = report

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._report(Path(trainer.default_root_dir))
