"""Run directories as earlier versions wrote them."""

import json
from pathlib import Path

from omegaconf import OmegaConf


def make_format_1(directory: Path) -> None:
    """Rewrite a run directory in the words of format 1: `n_samples` is a number of draws, `n_data` one of examples."""
    config = OmegaConf.load(directory / "config.yaml")
    for callback in config.evaluation.values():
        evaluator = callback.evaluator
        n_samples, n_draws = evaluator.pop("n_samples", None), evaluator.pop("n_latent_samples", None)
        if n_samples is not None:
            evaluator.n_data = n_samples
        if n_draws is not None:
            evaluator.n_samples = n_draws
    config.architectures.encoder.min_scale = 1e-3  # the weights are those of a present run
    OmegaConf.save(config, directory / "config.yaml")
    description = json.loads((directory / "run.json").read_text())
    (directory / "run.json").write_text(json.dumps({**description, "format": 1}))
