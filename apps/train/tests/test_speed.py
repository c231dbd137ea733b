"""Imports of a command and operations of a step: counts, never seconds."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning import Callback
from torch.utils._python_dispatch import TorchDispatchMode

from frame_train.composition.compose import compose_config, prepare_config
from frame_train.composition.settings import register_resolvers
from frame_train.experiment.build import Experiment, build_experiment
from frame_train.optimization.lightning_internals import NoProfiler

LIBRARIES = {
    "torch",
    "torchvision.models",
    "pytorch_lightning",
    "matplotlib",
    "scipy",
    "sklearn",
    "wandb",
    "tensorboard",
    "wandb.apis.public",  # of W&B Launch
    "sympy",  # of the compiler
    "triton",
}
OF_TRAINING = {"torch", "pytorch_lightning"}
SCRIPT = """
import atexit, gc, json, os, pathlib, sys
import frame_train.composition.compose
from frame_train.commands.train import main

def run(path, arguments):
    def write():
        assert gc.get_freeze_count(), "the collection before the exit is not skipped"
        path.write_text(" ".join(sys.modules))

    atexit.register(write)
    sys.argv[1:] = arguments
    main()

directory, commands = pathlib.Path(sys.argv[1]), json.loads(sys.argv[2])
for name, arguments in commands.items():
    if (pid := os.fork()) == 0:
        run(directory / name, arguments)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) in (0, 2), name
"""


def find_imports(directory: Path, commands: Mapping[str, Sequence[str]]) -> dict[str, set[str]]:
    """Run `train` once for each list of arguments, and return the large libraries that each run imported."""
    command = [sys.executable, "-c", SCRIPT, str(directory), json.dumps(commands)]
    environment = {**os.environ, "WANDB_MODE": "offline", "HYDRA_FULL_ERROR": "0"}
    result = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return {name: LIBRARIES & set((directory / name).read_text().split()) for name in commands}


LIGHT_COMMANDS = {
    "help": ["--help"],
    "list": ["--list"],
    "list of a group": ["--list", "experiment"],
    "cfg": ["--cfg", "job", "+experiment=MNIST_VAE"],
    "unknown key": ["+experiment=MNIST_VAE", "params.beat=1"],
    "wrong type": ["+experiment=MNIST_VAE", "params.batch_size=1.5"],
    "wrong mode": ["+experiment=MNIST_VAE", "optimization.compile=[1]"],
    "unknown argument": ["+experiment=MNIST_VAE", "+model.betta=1"],
    "unknown reference": ["+experiment=MNIST_VAE", "params.lr=${params.no}"],
    "unknown experiment": ["+experiment=NO_SUCH"],
    "unknown flag": ["--no-such-flag"],
    "nothing": [],
}


def test_a_command_that_does_not_train_imports_no_large_library(tmp_path: Path) -> None:
    assert find_imports(tmp_path, LIGHT_COMMANDS) == {name: set() for name in LIGHT_COMMANDS}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("experiment", "logging", "others"),
    [
        ("MNIST_VAE", "none", set[str]()),
        ("DIGITS_VAE", "tensorboard", {"tensorboard"}),
        ("DIGITS_VAE", "wandb", {"wandb"}),
    ],
)
def test_a_training_imports_only_the_large_libraries_that_it_uses(
    experiment: str, logging: str, others: set[str], data_root: Path, tmp_path: Path
) -> None:
    arguments = [f"+experiment={experiment}", f"logging={logging}", "trainer.max_steps=1"]
    places = [f"device.data_root={data_root}", f"device.experiments_root={tmp_path}", "device.download_files=false"]
    assert find_imports(tmp_path, {"imports": [*arguments, *places]}) == {"imports": OF_TRAINING | others}


# Steps


class Operations(TorchDispatchMode):
    """Counts the operations of torch."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.counts[str(func)] += 1
        return func(*args, **(kwargs or {}))


class Window(Callback):
    """Counts operations from the end of one step to the end of another."""

    def __init__(self, first: int, last: int) -> None:
        self.operations = Operations()
        self._first = first
        self._last = last

    def on_train_batch_end(self, trainer: Any, *arguments: Any) -> None:
        if trainer.global_step == self._first:
            self.operations.__enter__()
        if trainer.global_step == self._last:
            self.operations.__exit__(None, None, None)


def build(directory: Path, *overrides: str) -> Experiment:
    register_resolvers()
    config = compose_config(["+experiment=DIGITS_VAE", "logging=none", *overrides])
    prepare_config(config)
    config.run.directory = str(directory)
    return build_experiment(config)


SHIFT = "optimization.augmentation={_target_: frame_train.data.RandomShift, n_pixels: 1}"


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("overrides", [[], [SHIFT], ["optimization.steps_per_execution=2", SHIFT]], ids=len)
def test_no_step_reads_a_value_from_the_device(overrides: list[str], tmp_path: Path) -> None:
    experiment = build(tmp_path, "trainer.max_steps=7", *overrides)  # an epoch has more steps
    window = Window(2, 6)
    experiment.trainer.callbacks.append(window)
    experiment.trainer.fit(experiment.optimization)
    counts = window.operations.counts
    assert counts["aten.mm.default"] >= 4  # every operation of a step is counted
    assert counts["aten.index_select.default"] == 4 * 2  # images and labels of each batch
    assert counts["aten.randint.default"] == (4 * 2 if overrides else 0)  # shifts down and right
    assert {name for name in counts if "local_scalar" in name or "is_nonzero" in name or "item" in name} == set()


class SyncFree(Callback):
    """Makes every wait for the GPU an error, from the end of one step to the end of another."""

    def __init__(self, first: int, last: int) -> None:
        self._modes = {first: "error", last: "default"}
        self.n_steps = 0

    def on_train_batch_end(self, trainer: Any, *arguments: Any) -> None:
        self.n_steps += torch.cuda.get_sync_debug_mode() == 2
        torch.cuda.set_sync_debug_mode(self._modes.get(trainer.global_step, torch.cuda.get_sync_debug_mode()))


@pytest.mark.gpu
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("steps_per_execution", [1, 2])
@pytest.mark.parametrize("compile_mode", ["false", "true", "reduce-overhead"])
def test_no_step_waits_for_the_gpu_and_the_data_are_on_it(
    compile_mode: str, steps_per_execution: int, tmp_path: Path
) -> None:
    options = [f"optimization.compile={compile_mode}", f"optimization.steps_per_execution={steps_per_execution}", SHIFT]
    experiment = build(tmp_path, "trainer.accelerator=gpu", "trainer.max_steps=14", *options)
    free = SyncFree(8, 12)  # everything is compiled and captured before
    experiment.trainer.callbacks.append(free)
    try:
        experiment.trainer.fit(experiment.optimization)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert free.n_steps == 4 // steps_per_execution
    loader = experiment.trainer.train_dataloader
    assert loader.dataset.data_set.get_batch(torch.arange(2, device="cuda"))["x"].is_cuda


def test_the_default_profiler_does_nothing(tmp_path: Path) -> None:
    profiler = build(tmp_path).trainer.profiler
    assert isinstance(profiler, NoProfiler)
    assert profiler.profile("one") is profiler.profile("another")
    assert not isinstance(build(tmp_path, "trainer.profiler=simple").trainer.profiler, NoProfiler)


@pytest.mark.skipif(torch.accelerator.is_available(), reason="there is a driver")
def test_the_nvml_probe_is_disabled_without_a_driver(tmp_path: Path) -> None:
    os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "1"  # as Lightning sets it
    build(tmp_path)
    assert "PYTORCH_NVML_BASED_CUDA_CHECK" not in os.environ
