"""A resumed run equals a run that was never stopped: every bit of its weights, every entry of its logs."""

import contextlib
import json
import multiprocessing
import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import pytest
import torch
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import EarlyStopping, EMAWeightAveraging
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor
from torch.utils.data import Dataset

from chaos import run_chaos
from frame_core import SCALAR_ENTRY, Evaluation, LinearWarmup, LogEntry, Optimization
from frame_loggers import FileLogger
from frame_train.callbacks import (
    BestCheckpoint,
    CumulativeLogCallback,
    EvaluationCallback,
    PeriodicCheckpoint,
    StopOnSignal,
    TrainDurationCallback,
)
from frame_train.data.augmentation import RandomShift
from frame_train.data.loaders import make_train_loader
from frame_train.data.sampling import ShuffledBatches, StepGroups
from frame_train.optimization import AdamBatchOptimization, warmup_cosine
from frame_train.optimization.logs import truncate_logs
from frame_train.runs.checkpoint import read_training_state
from frame_train.runs.checkpoint_files import find_newest, restore, write_checkpoint
from frame_train.runs.directory import claimed, write_resumption
from frame_train.runs.resumption import find_unfinished
from old_runs import make_format_1
from processes import Commands, ForkServer
from runs import SMALL_VAE, assert_equal_runs, find_run, has_saved, read_description, read_entries, read_saved_step
from trainers import (
    DIGITS,
    N_BATCHES,
    Plain,
    PlainWithOurLoader,
    fit,
    ignore_lightning_warnings,
    make_adam,
    make_adversarial,
    make_batch,
    make_vae,
)
from wandb_server import WandbServer

N_EPOCHS = 3


class NoisyDigits(Dataset[Mapping[str, Tensor]]):
    """Digits that are read one by one, with noise from every random number generator."""

    def __len__(self) -> int:
        return 100

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        example = DIGITS["train"][index]
        noise = torch.rand(1, 8, 8) + random.random() + np.random.rand()
        return {"x": example["x"] + 0.1 * noise.float(), "y": example["y"]}


class Noise(Evaluation):
    """Evaluates to a random number that depends on the weights."""

    def evaluate(self, optimization: Optimization) -> LogEntry:
        weights = sum(parameter.sum() for parameter in optimization.model.parameters())
        return LogEntry(SCALAR_ENTRY, (weights + torch.rand(())).item())


class Kind(NamedTuple):
    """A kind of training: its optimization, options of the Trainer and further callbacks."""

    make: Callable[[], LightningModule]
    options: Mapping[str, Any] = {}
    callbacks: Callable[[], Sequence[Callback]] = list


KINDS = {
    "schedule": Kind(make_adam),
    "step_groups": Kind(lambda: make_batch(steps_per_execution=2, augmentation=RandomShift(1))),
    "step_lr": Kind(lambda: make_batch(partial(torch.optim.lr_scheduler.StepLR, step_size=1, gamma=0.5))),
    "plateau": Kind(
        lambda: make_batch(partial(torch.optim.lr_scheduler.ReduceLROnPlateau, patience=0, threshold=10.0))
    ),
    "adversarial": Kind(lambda: make_adversarial(steps_per_execution=2)),
    "accumulation": Kind(make_batch, {"accumulate_grad_batches": 2, "min_epochs": N_EPOCHS}),
    "workers": Kind(lambda: AdamBatchOptimization(make_vae(), {"train": NoisyDigits()}, 2, 20, 1e-3)),
    "warmup_cosine": Kind(
        lambda: make_batch(warmup_cosine, scheduler_interval="step", augmentation=RandomShift(1)),
    ),
    "averaging": Kind(make_batch, callbacks=lambda: [EMAWeightAveraging(decay=0.9)]),
    "early_stopping": Kind(make_batch, callbacks=lambda: [EarlyStopping("Noise", patience=5, mode="max")]),
    "plain": Kind(lambda: Plain(make_vae(LinearWarmup(0.0, 1.0, "3 epochs")))),
    "plain_with_our_loader": Kind(lambda: PlainWithOurLoader(make_vae(LinearWarmup(0.0, 1.0, "9 iterations")))),
    "train_for": Kind(make_batch, {"max_epochs": -1}, lambda: [TrainDurationCallback("13 iterations")]),
}


class At(Callback):
    """Calls a function when a hook runs for the n-th time."""

    def __init__(self, hook: str, n: int, action: Callable[[], object]) -> None:
        self._n_left = n
        self._action = action
        setattr(self, hook, self._count)

    def _count(self, *arguments: Any) -> None:
        self._n_left -= 1
        if self._n_left == 0:
            self._action()


def fit_kind(kind: Kind, directory: Path, *callbacks: Callback, resumes: bool = False) -> Trainer:
    """Train, or resume the training of a directory, as `train` does."""
    checkpoints = str(directory / "checkpoints")
    logger = FileLogger(directory)
    resume_from = None
    if resumes:
        checkpoint, _ = find_newest(directory / "checkpoints")
        assert checkpoint is not None
        resume_from = restore(checkpoint).path
        truncate_logs([logger], read_training_state(resume_from).logs)
    return fit(
        kind.make,
        *callbacks,
        StopOnSignal(),
        *kind.callbacks(),
        CumulativeLogCallback("3 iterations"),
        EvaluationCallback("Noise", "4 iterations", Noise()),
        PeriodicCheckpoint(checkpoints, "2 iterations"),
        BestCheckpoint(checkpoints, "Noise"),
        resume_from=resume_from,
        logger=logger,
        **{"max_epochs": N_EPOCHS, **kind.options},
    )


pytestmark = ignore_lightning_warnings
KILLS = (  # hook, and which of its calls
    ("on_train_batch_start", 8),  # mid-epoch, one step after a checkpoint
    ("on_before_optimizer_step", 6),
    ("on_train_epoch_end", 2),
    ("on_train_epoch_start", 3),
    ("on_train_end", 1),
)


@pytest.mark.parametrize("name", KINDS)
def test_a_killed_training_resumes_to_the_result_of_an_undisturbed_one(name: str, tmp_path: Path) -> None:
    kind = KINDS[name]
    copies = {(hook, n): tmp_path / f"{hook}-{n}" for hook, n in KILLS}
    killers = [
        At(hook, n, partial(shutil.copytree, tmp_path / "undisturbed", copy)) for (hook, n), copy in copies.items()
    ]
    fit_kind(kind, tmp_path / "undisturbed", *killers)
    for copy in copies.values():
        fit_kind(kind, copy, resumes=True)
        assert_equal_runs(copy, tmp_path / "undisturbed")


_STOPPED = ("schedule", "step_groups", "train_for")
"""Kinds that stop in their own way, beside `workers`, which the next test stops. The others stop as the first does."""


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in _STOPPED else pytest.mark.slow) for name in KINDS]
)
def test_a_training_stopped_by_a_signal_resumes_to_the_result_of_an_undisturbed_one(name: str, tmp_path: Path) -> None:
    kind = KINDS[name]
    fit_kind(kind, tmp_path / "undisturbed")
    for n, number in (  # mid-epoch, at the end of an epoch, in the last one, at the last step
        (7, signal.SIGTERM),
        (2 * N_BATCHES, signal.SIGUSR1),
        (13, signal.SIGINT),
        (N_EPOCHS * N_BATCHES, signal.SIGTERM),
    ):
        directory = tmp_path / str(n)
        killer = At("on_train_batch_start", n, partial(os.kill, os.getpid(), number))
        fit_kind(kind, directory, killer)
        fit_kind(kind, directory, resumes=True)
        assert_equal_runs(directory, tmp_path / "undisturbed")


def signal_each(number: signal.Signals) -> None:
    """Send a signal to this process and its data workers, as a cluster does."""
    workers = multiprocessing.active_children()
    assert len(workers) == 2
    for process in (*workers, multiprocessing.current_process()):
        assert process.pid is not None
        os.kill(process.pid, number)


def test_a_signal_to_every_process_lets_data_workers_finish_the_step(tmp_path: Path) -> None:
    fit_kind(KINDS["workers"], tmp_path / "undisturbed")
    for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
        directory = tmp_path / number.name
        stopped = fit_kind(KINDS["workers"], directory, At("on_train_batch_start", 7, partial(signal_each, number)))
        assert stopped.global_step == 7
        fit_kind(KINDS["workers"], directory, resumes=True)
        assert_equal_runs(directory, tmp_path / "undisturbed")


def test_a_data_worker_ends_only_when_the_trainer_terminates_it() -> None:
    groups = StepGroups(ShuffledBatches(100, 20, seed=0))
    batches = iter(make_train_loader(NoisyDigits(), groups, num_workers=1))
    next(batches)
    (worker,) = multiprocessing.active_children()
    assert worker.pid is not None
    for number in (signal.SIGINT, signal.SIGUSR1):
        os.kill(worker.pid, number)
    next(batches)
    worker.terminate()
    worker.join()
    assert worker.exitcode == 0


# Runs of the command

RUN = (
    *SMALL_VAE,
    "logging=tensorboard",
    "callbacks/checkpoint@callbacks=[last,best,periodic]",
    "callbacks.periodic_checkpoint.save_every=2 epochs",
    "trainer.max_epochs=6",
    "callbacks.last_checkpoint.save_every=7 iterations",
    "callbacks.training_log.log_every=5 iterations",
    "evaluation.samples.evaluate_every=2 epochs",
    "evaluation.elbo_validation.evaluate_every=9 iterations",
)


@pytest.fixture(scope="module")
def undisturbed(commands: Commands, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of a run that was never stopped."""
    root = tmp_path_factory.mktemp("undisturbed")
    command = commands.run(*RUN, f"device.experiments_root={root}")
    assert command.code == 0, command.output
    return find_run(root)


def read_events(directory: Path) -> dict[str, list[Any]]:
    """Read the steps and values of all curves of TensorBoard, and the steps of its images."""
    events = EventAccumulator(str(directory), size_guidance={"scalars": 0, "images": 0}).Reload()
    numbers = {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}
    return numbers | {tag: [event.step for event in events.Images(tag)] for tag in events.Tags()["images"]}


def assert_equal_files(directory: Path, expected: Path) -> None:
    """Check that two runs are complete and equal, including the events and images."""
    assert_equal_runs(directory, expected)
    assert read_events(directory) == read_events(expected)
    images = [{path.name: path.read_bytes() for path in (run / "images").iterdir()} for run in (directory, expected)]
    assert images[0] == images[1]
    assert read_description(directory)["complete"]


def test_a_run_that_was_killed_and_stopped_by_signals_equals_an_undisturbed_one(
    commands: Commands, undisturbed: Path, tmp_path: Path
) -> None:
    command = commands.start("resume=auto", *RUN, f"device.experiments_root={tmp_path}")
    command.wait_until(lambda: read_saved_step(tmp_path))
    time.sleep(random.random() / 10)  # at an arbitrary moment
    command.send(signal.SIGKILL)
    assert command.wait() == -signal.SIGKILL
    directory = find_run(tmp_path)

    again = ("resume=auto", *RUN, f"device.experiments_root={tmp_path}")  # finds the run
    for arguments, signals, code in (
        (again, [signal.SIGTERM], 143),
        ([f"resume={directory}"], [signal.SIGINT, signal.SIGTERM, signal.SIGINT], 130),  # the first one counts
    ):
        n_steps = read_saved_step(directory) + 15
        command = commands.start(*arguments)
        command.wait_until(partial(has_saved, tmp_path, n_steps))
        command.send(*signals)
        assert command.wait() == code, command.output
        assert f"stopped by {signals[0].name} at global step {read_saved_step(directory)}" in command.output
        assert "Traceback" not in command.output
        assert not read_description(directory)["complete"]

    command = commands.run(f"resume={directory}")
    assert command.code == 0, command.output
    assert "resumed at global step" in command.output
    assert_equal_files(directory, undisturbed)


@pytest.fixture
def copied(undisturbed: Path, tmp_path: Path) -> Path:
    """Return a copy of a complete run."""
    return shutil.copytree(undisturbed, tmp_path / "copied")


@pytest.fixture
def unfinished(copied: Path) -> Path:
    """Return a run that was killed after its last checkpoint."""
    description = read_description(copied)
    del description["ended"], description["complete"]
    (copied / "run.json").write_text(json.dumps(description))
    return copied


def test_a_complete_run_is_not_resumed(train: Callable[..., Any], copied: Path) -> None:
    before = read_entries(copied), read_description(copied)
    result = train(f"resume={copied}")
    assert (result.code, result.output) == (0, "")
    assert "is already complete" in result.errors
    result = train("resume=last", f"device.experiments_root={copied.parent}")
    assert f"{str(copied)!r} is already complete" in result.errors
    result = train(f"resume={copied}", "params.lr=0.5")
    assert (result.code, result.output) == (2, "")
    assert "is complete, so nothing reads the changes: params.lr: 0.001 → 0.5. Raise `trainer.max" in result.errors
    assert (read_entries(copied), read_description(copied)) == before


ADDED = (
    "evaluation=[elbo,interpolation]",
    "evaluation.elbo_validation.name=ELBO/Test",
    "evaluation.elbo_validation.evaluator.evaluate_on=test",
    "~evaluation.elbo_train",
)


def test_what_evaluate_added_survives_a_resume_and_what_the_training_logged_does_not(
    train: Callable[..., Any], evaluate: Callable[..., Any], undisturbed: Path, unfinished: Path
) -> None:
    with (unfinished / "metrics.jsonl").open("a") as log:
        log.write('{"trainer/global_step": 130, "Train/loss": 1}\n')  # after the last checkpoint
    for weights in ("last", "step-00000084"):
        result = evaluate(f"run={unfinished}", f"weights={weights}", *ADDED)
        assert result.code == 0, result
    added = [entry for entry in read_entries(unfinished) if entry.pop("evaluated", False)]
    assert [entry["trainer/global_step"] for entry in added] == [126, 126, 84, 84]
    events = read_events(unfinished)
    result = train(f"resume={unfinished}")
    assert result.code == 0, result
    entries = read_entries(unfinished)
    assert [entry for entry in entries if entry.pop("evaluated", False)] == added
    assert [entry for entry in entries if entry not in added] == read_entries(undisturbed)
    images = [entry["Images/Interpolation"] for entry in added if "Images/Interpolation" in entry]
    assert len(images) == 2
    assert all((unfinished / image).is_file() for image in images)
    assert read_events(unfinished)["ELBO/Test"] == events["ELBO/Test"]


def test_a_run_is_not_evaluated_while_it_trains(evaluate: Callable[..., Any], unfinished: Path) -> None:
    before = read_entries(unfinished), read_description(unfinished)
    with claimed(unfinished):
        result = evaluate(f"run={unfinished}")
    assert (result.code, result.output) == (2, "")
    assert "`run`: another process trains or evaluates in" in result.errors
    assert (read_entries(unfinished), read_description(unfinished)) == before


@pytest.mark.parametrize(
    "arguments", [("resume={run}", "run.directory=/elsewhere"), (*SMALL_VAE, "run.directory=/else")]
)
def test_the_directory_of_a_run_can_not_be_set(
    train: Callable[..., Any], unfinished: Path, arguments: tuple[str, ...]
) -> None:
    result = train(*(argument.format(run=unfinished) for argument in arguments))
    assert (result.code, result.output) == (2, "")
    assert "run.directory" in result.errors
    assert "/else" in result.errors
    assert len(result.errors.splitlines()) <= 2


def test_a_run_that_was_killed_while_it_wrote_its_report_is_not_complete(
    train: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def kill(_: Path) -> None:
        raise Killed

    arguments = (*RUN[:3], "trainer.max_epochs=1", "resume=auto")
    with monkeypatch.context() as patch:
        patch.setattr("frame_train.training.write_report", kill)
        with pytest.raises(Killed):
            train(*arguments)
    directory = find_run(tmp_path / "runs")
    assert not read_description(directory)["complete"]
    entries = read_entries(directory)
    result = train(*arguments)
    assert result.code == 0, result
    assert find_run(tmp_path / "runs") == directory
    assert read_description(directory)["complete"]
    assert read_entries(directory) == entries


def test_a_complete_run_can_be_lengthened(train: Callable[..., Any], copied: Path) -> None:
    result = train(f"resume={copied}", "trainer.max_epochs=7")
    assert result.code == 0, result
    assert "trainer.max_epochs: 6 → 7" in result.errors
    assert read_saved_step(copied) == 7 * 21
    (resumed,) = read_description(copied)["resumed"]
    assert (resumed["global_step"], resumed["changes"][-1]) == (6 * 21, "trainer.max_epochs: 6 → 7")
    assert OmegaConf.load(copied / "config.yaml").trainer.max_epochs == 7


def test_a_resumed_run_of_format_1_has_the_present_words(train: Callable[..., Any], copied: Path) -> None:
    present = OmegaConf.load(copied / "config.yaml").evaluation.elbo_train
    make_format_1(copied)
    assert OmegaConf.load(copied / "config.yaml").evaluation.elbo_train != present
    result = train(f"resume={copied}", "trainer.max_epochs=7")
    assert result.code == 0, result
    assert OmegaConf.load(copied / "config.yaml").evaluation.elbo_train == present
    assert read_description(copied)["format"] == 2


def test_a_resumed_run_is_no_longer_marked_as_complete(copied: Path) -> None:
    config = OmegaConf.load(copied / "config.yaml")
    assert isinstance(config, DictConfig)
    write_resumption(copied, config, 126, [])
    assert not {"complete", "ended"} & read_description(copied).keys()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("params.bate=0.1", "the run's config has no key `params.bate`. Did you mean `params.beta`?"),
        ("sed=1", "the run's config has no key `sed`. Did you mean `seed`?"),
        ("nothing.at_all=1", "the run's config has no key `nothing.at_all`."),
        ("+experiment=MNIST_VAE", "`resume`: a run keeps its experiment, got '+experiment=MNIST_VAE'"),
        ("model=VIB", "`model` must be a mapping, got 'VIB'. A resumed run keeps its options"),
        ("trainer.max_epoch=3", "max_epochs"),
        ("trainer.max_epochs=3", "the number of completed epochs, got 3"),
        ("trainer.max_steps=2", "the number of completed steps, got 2"),
        ("params.z_dim=3", "does not fit the `AdamBatchOptimization` that the config describes: `model.encoder"),
        ("params.lr=0.1,0.2", "`params.lr` must have one value, got 'params.lr=0.1,0.2'"),
        ("-m", "resumes one run, so it can't have `-m`"),
    ],
)
def test_an_override_that_does_not_fit_a_run_is_refused(
    train: Callable[..., Any], unfinished: Path, override: str, message: str
) -> None:
    before = read_entries(unfinished), (unfinished / "config.yaml").read_text()
    result = train(f"resume={unfinished}", override)
    assert result.code == 2, result
    assert message in result.errors
    assert "Traceback" not in result.errors
    assert (read_entries(unfinished), (unfinished / "config.yaml").read_text()) == before


def test_starting_a_command_again_finds_its_unfinished_run(
    unfinished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = cast(DictConfig, OmegaConf.load(unfinished / "config.yaml"))
    config.device.experiments_root = str(tmp_path / "runs")
    run = shutil.copytree(unfinished, tmp_path / "runs" / config.run.project / config.run.name / "2026-01-01_00-00-00")
    overrides = cast(list[str], OmegaConf.to_container(OmegaConf.load(run / "overrides.yaml")))
    assert find_unfinished(config, overrides) == run
    assert find_unfinished(config, overrides, launch="none/17") is None
    description = run / "run.json"
    description.write_text(json.dumps({**json.loads(description.read_text()), "launch": "none/17"}))
    assert find_unfinished(config, overrides, launch="none/17") == run
    description.write_text("")
    assert find_unfinished(config, overrides) is None
    assert "which can't be read" in capsys.readouterr().err


def test_two_processes_never_train_in_one_directory(train: Callable[..., Any], unfinished: Path) -> None:
    with claimed(unfinished):
        result = train(f"resume={unfinished}")
    assert result.code == 2, result
    assert "`resume`: another process trains or evaluates in" in result.errors


def flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


@pytest.mark.parametrize("damage", [flip_a_byte, truncate, Path.unlink])
def test_a_damaged_checkpoint_is_skipped(
    train: Callable[..., Any], unfinished: Path, undisturbed: Path, damage: Callable[[Path], None]
) -> None:
    for name in ("last", "step-00000126"):
        damage(unfinished / "checkpoints" / f"{name}.ckpt")
    leftover = unfinished / "checkpoints" / ".last.ckpt.0123456789abcdef.tmp"  # of a killed process
    leftover.touch()
    result = train(f"resume={unfinished}")
    assert result.code == 0, result
    assert result.errors.count("its checksum does not match the manifest") == 2
    assert "resumed at global step 84" in result.errors
    assert not leftover.exists()
    assert_equal_files(unfinished, undisturbed)


@pytest.mark.parametrize("text", ["[1]", "", '{{"global_step": "{step}"}}', "[" * 100_000, "\0"], ids=lambda x: x[:9])
def test_a_checkpoint_whose_manifest_cannot_be_read_is_skipped(unfinished: Path, text: str) -> None:
    (unfinished / "checkpoints" / "last.ckpt.json").write_text(text.format(step=126))
    newest, skipped = find_newest(unfinished / "checkpoints")
    assert newest is not None
    assert newest.path.name == "step-00000126.ckpt"
    assert [line.partition("checkpoints/")[2] for line in skipped] == ["last.ckpt.json': it can't be read."]


def test_a_run_whose_sizes_were_edited_is_refused_and_stays_as_it_is(
    train: Callable[..., Any], unfinished: Path
) -> None:
    config = OmegaConf.load(unfinished / "config.yaml")
    config.params.encoder_layers = [8, 8]
    OmegaConf.save(config, unfinished / "config.yaml")
    before = {path: path.read_bytes() for path in unfinished.rglob("*") if path.is_file() and path.name != ".lock"}
    result = train(f"resume={unfinished}")
    assert (result.code, result.output) == (2, "")
    assert "`model.encoder.network.1.2.weight` is missing" in result.errors
    assert before == {path: path.read_bytes() for path in unfinished.rglob("*") if path.is_file() and path in before}


@pytest.mark.parametrize(
    ("spoil", "is_reported"),
    [(lambda log: log[:-60], True), (lambda log: b"\xff\xfe" + log[2:], False)],
    ids=["shorter", "not_utf8"],
)
def test_a_run_resumes_whose_log_was_spoilt(
    train: Callable[..., Any],
    unfinished: Path,
    caplog: pytest.LogCaptureFixture,
    spoil: Callable[[bytes], bytes],
    is_reported: bool,
) -> None:
    path = unfinished / "metrics.jsonl"
    path.write_bytes(spoil(path.read_bytes()))
    result = train(f"resume={unfinished}", "trainer.max_epochs=7")
    assert result.code == 0, result
    assert ("entries of the time before the checkpoint are missing" in caplog.text) == is_reported
    lines = path.read_text(errors="replace").splitlines()
    assert json.loads(lines[-1])["trainer/global_step"] == 147
    assert all(line.startswith("{") for line in lines[1:])


def test_a_run_without_an_intact_checkpoint_is_refused(train: Callable[..., Any], unfinished: Path) -> None:
    for path in (unfinished / "checkpoints").glob("*.ckpt"):
        if path.name != "best.ckpt":  # resuming never starts from the best one
            flip_a_byte(path)
    result = train(f"resume={unfinished}")
    assert result.code == 2, result
    assert "has no intact checkpoint. Start a new run" in result.errors
    assert result.errors.count("its checksum does not match the manifest") == 4


class CrashError(BaseException):
    """Stands for a kill of the process."""


@pytest.mark.parametrize("n_before", range(10))
def test_a_crash_while_a_checkpoint_is_written_leaves_an_intact_one(
    n_before: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Write three checkpoints: the second crashes at one file operation, the third at any other."""
    path = tmp_path / "last.ckpt"

    def write(step: int, n_operations: int) -> None:
        n_left = n_operations

        def limit(operation: Callable[..., Any]) -> Callable[..., Any]:
            def run(*arguments: Any, **options: Any) -> Any:
                nonlocal n_left
                n_left -= 1
                if n_left < 0:
                    raise CrashError
                return operation(*arguments, **options)

            return run

        with monkeypatch.context() as patch, contextlib.suppress(CrashError):
            for owner, name in ((os, "link"), (os, "fsync"), (Path, "replace"), (Path, "unlink"), (Path, "write_text")):
                patch.setattr(owner, name, limit(getattr(owner, name)))
            write_checkpoint(path, step, True, lambda file: torch.save(step, file))

    def read() -> int:
        newest, skipped = find_newest(tmp_path)
        assert newest is not None
        assert skipped == []
        step = torch.load(restore(newest).path)
        assert step == newest.global_step
        return step

    for n_then in range(11):
        for file in tmp_path.iterdir():
            file.unlink()
        write(1, 100)
        write(2, n_before)
        second = read()
        assert second in (1, 2)
        write(3, n_then)
        assert read() in (second, 3)


def read_history(run: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Read the history of a run on the stand-in for W&B, except times, durations and images."""
    own = ("_", "seconds/")
    lines = [{name: line[name] for name in line if not name.startswith(own)} for line in run["history"]]
    return [{name: value if isinstance(value, int | float) else "" for name, value in line.items()} for line in lines]


@pytest.mark.slow
def test_a_resumed_run_continues_on_wandb_with_every_entry_once(fork_server: ForkServer, tmp_path: Path) -> None:
    """The server has fewer entries than the checkpoint at first, and then more."""
    arguments = [argument for argument in RUN if not argument.startswith(("logging", "trainer"))]
    arguments += ["trainer.max_epochs=3", f"device.experiments_root={tmp_path}"]
    (tmp_path / "home").mkdir()
    with WandbServer() as server:
        commands = Commands(fork_server, tmp_path, server.make_environment(tmp_path / "home"))
        command = commands.start(*arguments)
        command.wait_until(partial(has_saved, tmp_path, 21))
        command.send(signal.SIGKILL)
        assert command.wait() == -signal.SIGKILL
        directory = find_run(tmp_path)
        shutil.copytree(directory, tmp_path / "killed")
        (run,) = server.runs.values()
        for _ in range(2):
            command = commands.run(f"resume={directory}")
            assert command.code == 0, command.output
            assert list(server.runs.values()) == [run]
            history, entries = read_history(run), read_entries(directory)
            assert [line.keys() for line in history] == [line.keys() for line in entries]
            for line, entry in zip(history, entries):
                assert all(line[name] == entry[name] for name in entry if not isinstance(entry[name], str))
            shutil.copyfile(directory / "metrics.jsonl", tmp_path / "killed" / "metrics.jsonl")
            shutil.rmtree(directory)
            shutil.copytree(tmp_path / "killed", directory)
    assert server.problems == []


@pytest.mark.slow
def test_wandb_has_every_entry_once_if_a_run_is_evaluated_between_two_trainings(
    fork_server: ForkServer, tmp_path: Path
) -> None:
    (tmp_path / "home").mkdir()
    with WandbServer() as server:
        commands = Commands(fork_server, tmp_path, server.make_environment(tmp_path / "home"))
        arguments = [argument for argument in RUN if not argument.startswith(("logging", "trainer"))]
        command = commands.run(*arguments, "trainer.max_epochs=1", f"device.experiments_root={tmp_path}")
        assert command.code == 0, command.output
        directory = find_run(tmp_path)
        for n_epochs in (2, 3):
            command = commands.run(f"run={directory}", *ADDED, program="evaluate")
            assert command.code == 0, command.output
            command = commands.run(f"resume={directory}", f"trainer.max_epochs={n_epochs}")
            assert command.code == 0, command.output
        (run,) = server.runs.values()
        entries = read_entries(directory)
        assert sum(entry.pop("evaluated", False) for entry in entries) == 4
        assert [line.keys() for line in read_history(run)] == [entry.keys() for entry in entries]
    assert server.problems == []


@pytest.mark.slow
def test_a_run_that_is_killed_twenty_times_equals_an_undisturbed_one(tmp_path: Path) -> None:
    assert len(run_chaos(tmp_path, seed=0)) == 20
