"""Experiments as shipped, built as the command `train` builds them."""

from collections.abc import Callable, Sequence
from pathlib import Path

from frame_train.commands.startup import defer_packages

defer_packages()  # as the command does, before anything imports torch or Lightning

# ruff: noqa: E402
from omegaconf import DictConfig

from benchmarks.floor import BATCH_SIZE
from frame_train.composition.compose import compose_config, prepare_config
from frame_train.composition.settings import register_resolvers
from frame_train.data import MNIST, make_shuffled_loader
from frame_train.experiment.build import build_experiment
from frame_train.optimization.lightning_internals import disable_nvml_probe
from frame_train.terminal import quiet_libraries

MAX_EPOCHS = 1_000_000
_MNIST_VAE = "+experiment=MNIST_VAE"
_STEPS_ALONE = ("logging=none", "~callbacks.last_checkpoint", "~callbacks.best_checkpoint")


def train(data_root: Path, directory: Path, tick: Callable[[int], None], *overrides: str) -> None:
    """Train MNIST_VAE forever without evaluations, and tick after each step or step group."""
    _train(data_root, directory, tick, (_MNIST_VAE, *overrides), evaluate=False)


def train_and_evaluate(data_root: Path, directory: Path, tick: Callable[[int], None]) -> None:
    """Train MNIST_VAE forever with every evaluation at its shipped interval, and tick after each step or step group."""
    _train(data_root, directory, tick, (_MNIST_VAE,), evaluate=True)


def train_alone(data_root: Path, directory: Path, tick: Callable[[int], None], *arguments: str) -> None:
    """Train an experiment forever without evaluations, checkpoints and loggers, and tick after each step group."""
    _train(data_root, directory, tick, (*arguments, *_STEPS_ALONE), evaluate=False)


def compose(data_root: Path, arguments: Sequence[str]) -> DictConfig:
    """Compose the config of an experiment that is trained forever."""
    register_resolvers()
    arguments = [*arguments, f"device.data_root={data_root}", f"trainer.max_epochs={MAX_EPOCHS}"]
    config = compose_config(arguments)
    prepare_config(config, arguments)
    return config


def load(data_root: Path, directory: Path, tick: Callable[[], None]) -> None:
    """Load batches forever, and tick after each."""
    disable_nvml_probe()
    loader = make_shuffled_loader(MNIST(str(data_root), "train"), BATCH_SIZE)
    while True:
        for _ in loader:
            tick()


@quiet_libraries()
def _train(
    data_root: Path, directory: Path, tick: Callable[[int], None], arguments: Sequence[str], evaluate: bool
) -> None:
    from benchmarks.ticker import Ticker  # here, because the command also imports Lightning after frame_train

    config = compose(data_root, arguments)
    config.run.directory = str(directory)
    if not evaluate:
        for name in config.evaluation:
            config.evaluation[name].evaluate_every = f"{MAX_EPOCHS} epochs"
    experiment = build_experiment(config)
    experiment.trainer.callbacks.append(Ticker(tick))
    experiment.trainer.fit(experiment.optimization)
