"""Names that older configs have for the arguments of the Trainer."""

from omegaconf import DictConfig, open_dict


def rename_old_keys(trainer: DictConfig) -> list[str]:
    """Give the arguments of a Trainer their present names.

    Args:
        trainer: The node `trainer` of a config; it is changed.

    Returns:
        A line for each old name that tells the present one.
    """
    lines: list[str] = []
    with open_dict(trainer):
        if "gpus" in trainer:
            gpus = trainer.pop("gpus")
            gpus = int(gpus) if str(gpus).isdigit() else gpus
            trainer.accelerator = "gpu" if gpus else "cpu"
            trainer.devices = gpus or 1
            lines.append(
                f"`trainer.gpus: {gpus}` is an old name: it is now "
                f"`accelerator: {trainer.accelerator}` with `devices: {trainer.devices}`."
            )
        if "checkpoint_callback" in trainer:
            enabled = trainer.pop("checkpoint_callback")
            trainer.enable_checkpointing = enabled
            lines.append(
                f"`trainer.checkpoint_callback: {str(enabled).lower()}` is an old name: it is now "
                f"`enable_checkpointing: {str(enabled).lower()}`."
            )
    return lines
