"""Training with two ranks: its results, its files, and how it ends."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

from frame_train.distributed.launcher import check_processes
from frame_train.errors import CompositionError
from processes import ENVIRONMENT, Commands, find_children, is_alive
from runs import (
    ON_TWO_DEVICES,
    find_run,
    has_saved,
    read_description,
    read_entries,
    read_saved_step,
    read_weights,
)
from trainers import BATCH_SIZE, make_adversarial, make_tiny_optimization, make_tiny_split, make_trainer

Train = Callable[..., Any]
N_STEPS = 3 * 12
RUN = (
    "+experiment=DIGITS_Classifier",  # only its data are random
    "evaluation=accuracy",  # without pictures, which take longest
    "optimization.augmentation={_target_:frame_train.data.RandomShift,n_pixels:1}",
    "logging=none",
    "trainer.accelerator=cpu",
    "trainer.max_epochs=3",
    "trainer.limit_train_batches=12",
    "params.layers=[8]",
    "callbacks.last_checkpoint.save_every=4 iterations",
    "callbacks.training_log.log_every=5 iterations",
    "evaluation.accuracy_validation.evaluate_every=7 iterations",
    "+evaluation.calibration={_target_:frame_train.callbacks.EvaluationCallback,name:Calibration,"  # several numbers
    "evaluate_every:9 iterations,evaluator:{_target_:frame_eval.CalibrationEvaluation,evaluate_on:valid}}",
    "+evaluation.often={_target_:frame_train.callbacks.EvaluationCallback,name:Often,max_fraction:0.5,"
    "evaluate_every:0.02 seconds,evaluator:{_target_:frame_eval.AccuracyEvaluation,evaluate_on:train}}",
)
TWO = ("trainer.devices=2", "params.batch_size=16")
ONE = ("trainer.devices=1", "params.batch_size=32")


WITNESS = """
import time
import torch
from frame_core import SCALAR_ENTRY, Evaluation, LogEntry
from pytorch_lightning import Callback

class Witness(Callback):
    seeds = ()
    sizes = ()

    def on_train_batch_end(self, trainer, module, outputs, batch, *others):
        self.seeds += (torch.initial_seed(),)
        self.sizes += (len(batch["x"]),)

    def on_train_end(self, trainer, module):
        parts = {"parameters": dict(module.named_parameters()), "buffers": dict(module.named_buffers())}
        seen = {"seeds": list(self.seeds), "sizes": list(self.sizes), **parts}
        torch.save(seen, f"{trainer.default_root_dir}/seen-{trainer.global_rank}.pt")

class Long(Evaluation):
    def evaluate(self, optimization):
        time.sleep(600)
        return LogEntry(SCALAR_ENTRY, 0.0)

class Broken(Evaluation):
    def evaluate(self, optimization):
        raise RuntimeError("nothing to see")
"""
WITNESSED = "+callbacks.witness._target_=witness.Witness"


@pytest.fixture(scope="module", autouse=True)
def _witness(commands: Commands) -> None:
    (commands.folder / "witness.py").write_text(WITNESS)  # in the working directory of every rank


@pytest.fixture(scope="module")
def pair(commands: Commands, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Return the directory of a run of two ranks, and its output."""
    root = tmp_path_factory.mktemp("pair")
    command = commands.run(*RUN, *TWO, WITNESSED, f"device.experiments_root={root}")
    assert command.code == 0, command.output
    return find_run(root), command.output


def read_lasting_entries(directory: Path) -> list[dict[str, Any]]:
    """Read what was logged, except what depends on the clock."""
    return [entry for entry in read_entries(directory) if not any(name.startswith("Often") for name in entry)]


def assert_close(entries: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    assert len(entries) == len(expected) > N_STEPS // 5
    for entry, other in zip(entries, expected):
        assert entry.keys() == other.keys()
        for name, value in entry.items():
            assert value == pytest.approx(other[name], rel=1e-5) if isinstance(value, float) else value == other[name]


def assert_close_weights(directory: Path, expected: Path) -> None:
    assert read_saved_step(directory) == read_saved_step(expected)
    torch.testing.assert_close(read_weights(directory), read_weights(expected), rtol=1e-4, atol=1e-5)


def test_two_ranks_have_the_losses_of_one_with_twice_the_batch_size(
    commands: Commands, pair: tuple[Path, str], tmp_path: Path
) -> None:
    command = commands.run(*RUN, *ONE, f"device.experiments_root={tmp_path}")
    assert command.code == 0, command.output
    assert_close(read_lasting_entries(pair[0]), read_lasting_entries(find_run(tmp_path)))


def test_two_ranks_write_one_run_directory_and_print_each_line_once(pair: tuple[Path, str]) -> None:
    directory, output = pair
    assert [path.name for path in directory.parent.iterdir()] == [directory.name]
    assert read_description(directory)["complete"]
    entries = [(entry["trainer/global_step"], *entry) for entry in read_lasting_entries(directory)]
    assert len(set(entries)) == len(entries)
    assert output.count("Run directory:") == output.count("DIGITS / Classifier") == 1
    assert "Warning" not in output
    lines = (directory / "metrics.jsonl").read_text().splitlines()
    assert sum('"Often' in line for line in lines) > 3  # by the clock of rank zero


def read_seen(directory: Path) -> list[dict[str, Any]]:
    """Read what both ranks had at the end."""
    return [torch.load(directory / f"seen-{rank}.pt", map_location="cpu", weights_only=True) for rank in (0, 1)]


def assert_same_weights(directory: Path) -> None:
    """Check that both ranks had equal weights at the end, and different seeds of the model's noise in every step."""
    first, second = read_seen(directory)
    torch.testing.assert_close(first["parameters"], second["parameters"], rtol=0, atol=0)
    assert len({*first["seeds"], *second["seeds"]}) == 2 * len(first["seeds"]) > 0


def test_two_ranks_have_equal_weights_and_different_seeds(pair: tuple[Path, str]) -> None:
    assert_same_weights(pair[0])


@pytest.fixture(scope="module")
def lost(commands: Commands, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Return the directory of a run of two ranks that has lost one of them, and its output."""
    root = tmp_path_factory.mktemp("lost")
    command = commands.start(*RUN, *TWO, WITNESSED, f"device.experiments_root={root}")
    command.wait_until(lambda: has_saved(root, 8))
    (worker,) = find_children(command.pid)
    os.kill(worker, signal.SIGKILL)
    assert command.wait() == 1, command.output
    return find_run(root), command.output


def test_a_run_that_lost_a_rank_ends_with_its_exit_code_and_the_command_to_resume(lost: tuple[Path, str]) -> None:
    directory, output = lost
    assert "Rank 1 of 2 exited with code -9." in output
    assert f"`train resume={directory}` continues from it" in output
    assert "Traceback" not in output
    assert not read_description(directory)["complete"]


@pytest.mark.slow
def test_a_run_that_lost_a_rank_resumes_to_the_result_of_an_undisturbed_run(
    commands: Commands, pair: tuple[Path, str], lost: tuple[Path, str], tmp_path: Path
) -> None:
    assert_resumes_to(commands, Path(shutil.copytree(lost[0], tmp_path / "lost")), pair[0])


def assert_resumes_to(commands: Commands, directory: Path, expected: Path) -> None:
    """Resume a run, and check that it ends like one that was never stopped, bit by bit."""
    command = commands.run(f"resume={directory}")
    assert command.code == 0, command.output
    assert read_weights(directory) == read_weights(expected)
    assert read_lasting_entries(directory) == read_lasting_entries(expected)
    assert read_description(directory)["complete"]


@pytest.mark.slow
@pytest.mark.parametrize("receiver", ["rank_zero", "rank_one"])
def test_a_signal_to_one_rank_stops_all_ranks_at_the_same_step(
    commands: Commands, pair: tuple[Path, str], tmp_path: Path, receiver: str
) -> None:
    command = commands.start(*RUN, *TWO, WITNESSED, f"device.experiments_root={tmp_path}")
    command.wait_until(lambda: has_saved(tmp_path, 8))
    (worker,) = find_children(command.pid)
    os.kill(command.pid if receiver == "rank_zero" else worker, signal.SIGTERM)
    assert command.wait() == 143, command.output
    directory = find_run(tmp_path)
    step = read_saved_step(directory)
    assert command.output.count(f"stopped by SIGTERM at global step {step};") == 1
    assert not is_alive(worker)
    assert not read_description(directory)["complete"]
    assert_resumes_to(commands, directory, pair[0])


@pytest.mark.slow
def test_a_loss_that_is_not_finite_stops_both_ranks_and_is_reported_once(commands: Commands, tmp_path: Path) -> None:
    command = commands.run(*RUN, *TWO, "params.lr=1.0e+30", f"device.experiments_root={tmp_path}")
    assert command.code == 1, command.output
    assert command.output.count("The loss is not finite between the global steps") == 1
    assert "Traceback" not in command.output


@pytest.mark.slow
def test_an_evaluation_that_raises_stops_both_ranks(commands: Commands, tmp_path: Path) -> None:
    evaluation = (
        "+evaluation.broken={_target_:frame_train.callbacks.EvaluationCallback,name:Broken,"
        "evaluate_every:10 iterations,evaluator:{_target_:witness.Broken}}"
    )
    due_at_once = "evaluation.accuracy_validation.evaluate_every=10 iterations"  # together with a best checkpoint
    command = commands.run(*RUN, *TWO, due_at_once, evaluation, f"device.experiments_root={tmp_path}")
    assert command.code == 1, command.output
    assert command.output.count("failed at step 10: nothing to see") == 1
    assert not read_description(find_run(tmp_path))["complete"]


def test_more_ranks_than_training_examples_are_refused() -> None:
    optimization = make_tiny_optimization(data={"train": make_tiny_split(1)})
    trainer = make_trainer(devices=2, strategy="ddp")
    with pytest.raises(ValueError, match=r"`trainer.devices=2` needs at least 2 training examples, got 1"):
        optimization.check_trainer(trainer)


def test_restarts_on_several_machines_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    start = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "1", "RANK": "0", "LOCAL_RANK": "0", "TORCHELASTIC_RUN_ID": "none"}
    for name, value in {**start, "TORCHELASTIC_MAX_RESTARTS": "1"}.items():
        monkeypatch.setenv(name, value)
    trainer = make_trainer(devices=1, num_nodes=2, strategy="ddp")
    with pytest.raises(CompositionError, match=r"`torchrun --max-restarts` needs one machine, got 2"):
        check_processes(trainer)
    monkeypatch.setenv("TORCHELASTIC_MAX_RESTARTS", "0")
    check_processes(trainer)


@pytest.mark.slow
def test_a_rank_whose_parent_exited_before_it_started_exits() -> None:
    script = (
        "import time\nfrom frame_train.distributed.launcher import ending_with_parent\n"
        "with ending_with_parent(): time.sleep(60)"
    )
    other = str(os.getppid())  # not the parent of the started process
    environment = {**os.environ, "FRAME_FIRST_PROCESS": other, "LOCAL_RANK": "1"}
    assert subprocess.run([sys.executable, "-c", script], env=environment, timeout=50).returncode == 1


def test_one_process_continues_the_run_of_two_with_their_batches(
    train: Train, pair: tuple[Path, str], tmp_path: Path
) -> None:
    copied = shutil.copytree(pair[0], tmp_path / "copied")
    result = train(f"resume={copied}", "~callbacks.witness", "trainer.max_epochs=4", "trainer.devices=1")
    assert result.code == 0, result
    assert "processes: 2 → 1, 32 examples in each batch" in result.errors
    assert train(*RUN, *ONE, "trainer.max_epochs=4", f"device.experiments_root={tmp_path}/one").code == 0
    assert_close_weights(copied, find_run(tmp_path / "one"))


@pytest.mark.slow
@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 4)])
def test_more_processes_continue_a_run_with_its_batches(
    commands: Commands, tmp_path: Path, before: int, after: int
) -> None:
    shared = (f"trainer.devices={before}", f"params.batch_size={32 // before}")
    started = commands.run(*RUN, *shared, "trainer.max_epochs=1", f"device.experiments_root={tmp_path}/run")
    assert started.code == 0, started.output
    directory = find_run(tmp_path / "run")
    resumed = commands.run(f"resume={directory}", "trainer.max_epochs=2", f"trainer.devices={after}")
    assert resumed.code == 0, resumed.output
    assert f"processes: {before} → {after}, {32 // after} examples" in resumed.output
    again = commands.run(f"resume={directory}", "trainer.max_epochs=3", "trainer.devices=1")
    assert again.code == 0, again.output
    assert f"processes: {after} → 1, 32 examples" in again.output
    one = commands.run(*RUN, *ONE, f"device.experiments_root={tmp_path}/one")
    assert one.code == 0, one.output
    assert_close_weights(directory, find_run(tmp_path / "one"))


def test_processes_that_cannot_share_the_batches_of_a_run_are_refused() -> None:
    optimization = make_tiny_optimization(batch_size=4)
    trainer = make_trainer(devices=2, strategy="ddp")
    optimization.n_planned = 1
    assert optimization.share_batches(trainer) == 2
    single = make_tiny_optimization(batch_size=1)
    single.n_planned = 1
    with pytest.raises(ValueError, match="2 processes can't share a batch of 1 examples evenly"):
        single.share_batches(trainer)


def test_synchronized_batch_normalization_is_refused_on_cpus(train: Train) -> None:
    result = train(*RUN, *TWO, "trainer.sync_batchnorm=true")
    assert (result.code, "`trainer.sync_batchnorm` needs GPUs" in result.errors) == (2, True)


def test_a_global_batch_is_shared_and_accumulated() -> None:
    data = {"train": make_tiny_split(64)}
    trainer = make_trainer(devices=2, strategy="ddp")
    optimization = make_tiny_optimization(data=data, batch_size=5, global_batch_size=16)
    optimization.check_trainer(trainer)
    assert (trainer.accumulate_grad_batches, optimization.share_batches(trainer)) == (2, 4)
    with pytest.raises(ValueError, match=r"accumulate_grad_batches` must be 1 with `optimization.global_batch_size`"):
        optimization.check_trainer(trainer)
    with pytest.raises(ValueError, match="`global_batch_size` must be positive, got 0"):
        make_tiny_optimization(global_batch_size=0)
    odd = make_tiny_optimization(data=data, batch_size=5, global_batch_size=15)
    with pytest.raises(
        ValueError, match=r"`optimization.global_batch_size` must be a multiple of 2, the number of processes, got 15"
    ):
        odd.check_trainer(make_trainer(devices=2, strategy="ddp"))


def test_a_global_batch_of_adversarial_training_is_shared_and_not_accumulated() -> None:
    trainer = make_trainer(devices=2, strategy="ddp")
    optimization = make_adversarial(global_batch_size=100)
    optimization.check_trainer(trainer)
    assert (trainer.accumulate_grad_batches, optimization.share_batches(trainer)) == (1, 50)
    with pytest.raises(
        ValueError, match=f"`optimization.global_batch_size` must be at most {2 * BATCH_SIZE} .* got 602"
    ):
        make_adversarial(global_batch_size=2 * BATCH_SIZE + 2).check_trainer(trainer)


@pytest.mark.slow
@ON_TWO_DEVICES
def test_adversarial_training_has_equal_weights_in_both_ranks_and_synchronizes_batch_normalization_on_gpus(
    commands: Commands, data_root: Path, tmp_path: Path, accelerator: str
) -> None:
    is_synchronized = accelerator == "gpu"
    command = commands.run(
        "+experiment=MNIST_GAN",
        "logging=none",
        f"trainer.accelerator={accelerator}",
        f"trainer.sync_batchnorm={str(is_synchronized).lower()}",
        "trainer.devices=2",
        "trainer.max_epochs=1",
        "trainer.limit_train_batches=7",
        "params.generator_layers=[8]",
        "params.discriminator_layers=[8]",
        "params.n_critic=2",
        "params.batch_size=32",
        "optimization.global_batch_size=64",
        WITNESSED,
        f"device.data_root={data_root}",
        f"device.experiments_root={tmp_path}",
    )
    assert command.code == 0, command.output
    directory = find_run(tmp_path)
    assert_same_weights(directory)
    assert [seen["sizes"] for seen in read_seen(directory)] == [[32] * 7] * 2
    first, second = (seen["buffers"] for seen in read_seen(directory))
    assert all(torch.equal(first[name], second[name]) for name in first) == is_synchronized
    assert read_saved_step(directory) == 10
    resumed = commands.run(f"resume={directory}", "~callbacks.witness", "trainer.max_epochs=2", "trainer.devices=1")
    assert resumed.code == 0, resumed.output
    assert "processes: 2 → 1, 64 examples in each batch" in resumed.output
    assert read_saved_step(directory) == 21


@pytest.mark.slow
def test_a_plateau_scheduler_watches_the_loss_of_both_ranks(commands: Commands, tmp_path: Path) -> None:
    schedule = (
        "optimization.scheduler={_target_:torch.optim.lr_scheduler.ReduceLROnPlateau,_partial_:true,patience:0}",
        "optimization.scheduler_interval=step",
    )
    command = commands.run(
        *RUN, *TWO, "optimization=batch", *schedule, WITNESSED, f"device.experiments_root={tmp_path}"
    )
    assert command.code == 0, command.output
    assert_same_weights(find_run(tmp_path))


@pytest.mark.slow
def test_each_job_of_a_grid_has_its_own_ranks_and_directory(commands: Commands, tmp_path: Path) -> None:
    command = commands.run("-m", *RUN, *TWO, "params.lr=0.001,0.01", WITNESSED, f"device.experiments_root={tmp_path}")
    assert command.code == 0, command.output
    directories = sorted(path.parent for path in tmp_path.glob("*/*/*/run.json"))
    assert len(directories) == 2
    for directory, lr in zip(directories, (0.001, 0.01)):
        assert OmegaConf.load(directory / "config.yaml").params.lr == lr
        assert read_description(directory)["complete"]
        assert_same_weights(directory)


@pytest.mark.slow
def test_worker_ranks_exit_with_rank_zero_and_the_run_resumes(
    commands: Commands, pair: tuple[Path, str], tmp_path: Path
) -> None:
    command = commands.start(*RUN, *TWO, WITNESSED, f"device.experiments_root={tmp_path}")
    command.wait_until(lambda: has_saved(tmp_path, 8))
    (worker,) = find_children(command.pid)
    os.kill(command.pid, signal.SIGKILL)
    assert command.wait() == -signal.SIGKILL
    wait_until(lambda: not is_alive(worker))
    assert_resumes_to(commands, find_run(tmp_path), pair[0])


@pytest.mark.slow
def test_losing_a_rank_during_a_long_evaluation_stops_the_run(commands: Commands, tmp_path: Path) -> None:
    evaluation = (
        "+evaluation.long={_target_:frame_train.callbacks.EvaluationCallback,name:Long,"
        "evaluate_every:10 iterations,evaluator:{_target_:witness.Long}}"
    )
    command = commands.start(*RUN, *TWO, evaluation, f"device.experiments_root={tmp_path}")
    command.wait_until(lambda: has_saved(tmp_path, 8))
    (worker,) = find_children(command.pid)
    os.kill(worker, signal.SIGKILL)
    assert command.wait() == 1, command.output
    assert "Rank 1 of 2 exited with code -9." in command.output
    assert not read_description(find_run(tmp_path))["complete"]


@pytest.fixture
def torchrun(tmp_path: Path) -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Start two ranks of `train` by torchrun; the end of the test kills the remaining ones."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> "subprocess.Popen[str]":
        options = ["--nnodes=1", "--nproc-per-node=2", "--max-restarts=1", "--monitor-interval=0.1"]
        address = ["--rdzv-backend=c10d", "--rdzv-endpoint=127.0.0.1:0", "--local-addr=127.0.0.1"]
        command = [sys.executable, "-m", "torch.distributed.run", *options, *address, "-m", "frame_train", *arguments]
        pipe = subprocess.PIPE
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **ENVIRONMENT}
        process = subprocess.Popen(
            command, env=environment, cwd=tmp_path, stdout=pipe, stderr=subprocess.STDOUT, text=True, process_group=0
        )
        started.append(process)
        return process

    yield start
    for process in started:
        children = find_children(process.pid) if process.poll() is None else []
        for pid in children:
            os.kill(pid, signal.SIGKILL)
        process.kill()
        process.wait()


def wait_until(condition: Callable[[], object], seconds: float = 240) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def find_rank_one(pid: int) -> int:
    """Return the process id of rank one of torchrun."""
    (rank_one,) = [
        child for child in find_children(pid) if b"\0RANK=1\0" in Path(f"/proc/{child}/environ").read_bytes()
    ]
    return rank_one


@pytest.mark.slow
def test_torchrun_restarts_both_ranks_and_they_resume_the_run(
    torchrun: Callable[..., "subprocess.Popen[str]"], pair: tuple[Path, str], tmp_path: Path
) -> None:
    process = torchrun(*RUN, "params.batch_size=16", f"device.experiments_root={tmp_path / 'runs'}")
    wait_until(lambda: has_saved(tmp_path, 8))
    os.kill(find_rank_one(process.pid), signal.SIGKILL)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert output.count("resumed at global step") == 1
    directory = find_run(tmp_path / "runs")
    assert read_description(directory)["complete"]
    assert read_weights(directory) == read_weights(pair[0])
    assert read_lasting_entries(directory) == read_lasting_entries(pair[0])


@pytest.mark.slow
def test_a_signal_to_torchrun_leaves_a_checkpoint(
    torchrun: Callable[..., "subprocess.Popen[str]"], tmp_path: Path
) -> None:
    process = torchrun(*RUN, "params.batch_size=16", "trainer.max_epochs=10000", f"device.experiments_root={tmp_path}")
    wait_until(lambda: has_saved(tmp_path, 8))
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=300)
    assert process.returncode != 0
    assert output.count("stopped by SIGTERM at global step") == 1
    step = read_saved_step(tmp_path)
    assert f"stopped by SIGTERM at global step {step};" in output
    assert not read_description(find_run(tmp_path))["complete"]


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["--list", "data"], ["-m", *RUN, "params.lr=0.1,0.2"]])
def test_no_rank_waits_if_rank_zero_creates_no_run(
    torchrun: Callable[..., "subprocess.Popen[str]"], arguments: list[str]
) -> None:
    process = torchrun(*arguments)
    output, _ = process.communicate(timeout=300)
    assert (process.returncode == 0) == (arguments[0] == "--list"), output
    assert "Digits" in output or "can't run a grid" in output
