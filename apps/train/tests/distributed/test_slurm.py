"""Jobs of SLURM, with stand-ins for the commands of a cluster."""

import os
import shlex
import signal
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins

from processes import Commands, ForkServer
from runs import SMALL_VAE, TWO_STEPS, assert_equal_runs, compose_train, find_run, read_description, read_saved_step

SCRIPTS = Path(__file__).parents[2] / "slurm"
RUN = (
    "resume=auto",
    "device=slurm",
    *SMALL_VAE,
    "~evaluation.samples",
    "~evaluation.reconstructions",
    "logging=none",
    "callbacks/checkpoint@callbacks=[last,best]",
    "callbacks.last_checkpoint.save_every=7 iterations",
    "callbacks.training_log.log_every=5 iterations",
    "evaluation.elbo_validation.evaluate_every=9 iterations",
    "trainer.max_epochs=3",
)
JOB = {  # set by `srun`
    "SLURM_JOB_ID": "4242",
    "SLURM_JOB_NAME": "frame",
    "SLURM_NTASKS": "1",
    "SLURM_NTASKS_PER_NODE": "1",
    "SLURM_NNODES": "1",
    "SLURM_PROCID": "0",
    "SLURM_LOCALID": "0",
    "SLURM_NODEID": "0",
}


def write_command(folder: Path, name: str, *lines: str) -> None:
    """Write a stand-in for a command."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text("\n".join(["#!/bin/bash", *lines, ""]))
    (folder / name).chmod(0o755)


@pytest.fixture
def cluster(tmp_path: Path) -> Path:
    """Return a folder of commands whose `scontrol` records its arguments."""
    write_command(tmp_path / "bin", "scontrol", f'echo "$@" >> {shlex.quote(str(tmp_path))}/scontrol-arguments')
    return tmp_path / "bin"


@pytest.fixture(scope="module")
def commands(fork_server: ForkServer, tmp_path_factory: pytest.TempPathFactory) -> Commands:
    """Start commands as tasks of a job."""
    return Commands(fork_server, tmp_path_factory.mktemp("commands"), JOB)


def stop(commands: Commands, root: Path, *arguments: str, **variables: str) -> Any:
    """Start a run, send it the signal of SLURM after its first checkpoint, and wait for its end."""
    command = commands.start(*RUN, f"device.experiments_root={root}", *arguments, **variables)
    command.wait_until(lambda: read_saved_step(root))
    command.send(signal.SIGUSR1)
    command.wait()
    assert "stopped by SIGUSR1" in command.output
    assert "Traceback" not in command.output
    return command


def test_a_requeued_job_resumes_its_run_to_the_same_result(commands: Commands, cluster: Path, tmp_path: Path) -> None:
    path = f"{cluster}:{os.environ['PATH']}"
    command = stop(commands, tmp_path / "runs", PATH=path)
    assert command.code == 0, command.output
    assert "SLURM requeues the job" in command.output
    assert (tmp_path / "scontrol-arguments").read_text() == "requeue 4242\n"
    assert read_description(find_run(tmp_path / "runs"))["complete"] is False
    assert not list((tmp_path / "runs").rglob("hpc_ckpt*"))  # of Lightning

    command = commands.run(*RUN, f"device.experiments_root={tmp_path / 'runs'}", PATH=path, SLURM_RESTART_COUNT="1")
    assert command.code == 0, command.output
    assert "resumed at global step" in command.output
    assert (tmp_path / "scontrol-arguments").read_text() == "requeue 4242\n"
    command = commands.run(*RUN, f"device.experiments_root={tmp_path / 'undisturbed'}", PATH=path)
    assert command.code == 0, command.output
    assert_equal_runs(find_run(tmp_path / "runs"), find_run(tmp_path / "undisturbed"))


def test_a_task_of_an_array_is_requeued_by_its_own_id(commands: Commands, cluster: Path, tmp_path: Path) -> None:
    array = {"SLURM_ARRAY_JOB_ID": "4240", "SLURM_ARRAY_TASK_ID": "3", "PATH": f"{cluster}:{os.environ['PATH']}"}
    assert stop(commands, tmp_path / "runs", **array).code == 0
    assert (tmp_path / "scontrol-arguments").read_text() == "requeue 4240_3\n"


NEVER = "+trainer.plugins=[{_target_:pytorch_lightning.plugins.environments.SLURMEnvironment,auto_requeue:false}]"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "variables"),
    [([], {"SLURM_JOB_NAME": "bash"}), ([NEVER], {})],
    ids=["interactive", "without auto-requeue"],
)
def test_an_interactive_job_and_one_without_auto_requeue_are_not_requeued(
    commands: Commands, cluster: Path, tmp_path: Path, arguments: list[str], variables: Mapping[str, str]
) -> None:
    variables = {**variables, "PATH": f"{cluster}:{os.environ['PATH']}"}
    assert stop(commands, tmp_path / "runs", *arguments, **variables).code == 143
    assert not (tmp_path / "scontrol-arguments").exists()


def test_a_refused_requeue_is_reported_and_the_exit_code_is_that_of_the_signal(
    commands: Commands, tmp_path: Path
) -> None:
    write_command(tmp_path / "bin", "scontrol", "echo 'Requested operation is presently disabled' >&2", "exit 1")
    command = stop(commands, tmp_path / "runs", PATH=f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    assert command.code == 143
    assert "SLURM does not requeue the job: Requested operation is presently disabled" in command.output


@pytest.mark.slow
def test_a_missing_scontrol_is_reported(commands: Commands, tmp_path: Path) -> None:
    command = stop(commands, tmp_path / "runs")
    assert command.code == 143
    assert "`scontrol` can't be run" in command.output


def run_script(name: str, folder: Path, *arguments: str) -> list[str]:
    """Run a script for `sbatch`, and return the command that `srun` would start."""
    write_command(folder, "srun", 'printf "%s\\n" "DEVICE_NAME=$DEVICE_NAME" "$@"')
    environment = {"PATH": f"{folder}:{os.environ['PATH']}"}
    command = ["bash", str(SCRIPTS / name), *arguments]
    return subprocess.run(
        command, env=environment, cwd=folder, capture_output=True, text=True, check=True
    ).stdout.splitlines()


def test_the_script_of_a_run_starts_a_command_that_resumes(tmp_path: Path) -> None:
    command = run_script("run.sbatch", tmp_path, "+experiment=DIGITS_VAE", "train_for=2 epochs")
    assert command[1:] == [
        *["uv", "run", "--no-sync", "train", "resume=auto", "device=slurm"],
        *["+experiment=DIGITS_VAE", "train_for=2 epochs"],
    ]
    options = (SCRIPTS / "run.sbatch").read_text()
    for option in ("--signal=SIGUSR1@600", "--requeue", "--open-mode=append"):
        assert f"#SBATCH {option}\n" in options


def test_the_script_of_agents_starts_one_run_per_task_of_the_array(tmp_path: Path) -> None:
    command = run_script("agents.sbatch", tmp_path, "somebody/MNIST/sweep")
    assert command == [
        "DEVICE_NAME=slurm",
        *["uv", "run", "--no-sync", "wandb", "agent", "--forward-signals", "--count", "1", "somebody/MNIST/sweep"],
    ]
    options = (SCRIPTS / "agents.sbatch").read_text()
    assert "#SBATCH --array=" in options
    assert "#SBATCH --signal=SIGTERM@600\n" in options


@pytest.mark.parametrize(("variables", "n_workers"), [({}, 0), ({"SLURM_CPUS_PER_TASK": "6"}, 6)])
def test_the_slurm_device_has_the_workers_of_the_job(
    monkeypatch: pytest.MonkeyPatch, variables: Mapping[str, str], n_workers: int
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    config = compose_train("+experiment=DIGITS_VAE", "device=slurm")
    assert config.device.num_workers == n_workers


def test_the_slurm_device_can_be_checked_without_slurm(train: Callable[..., Any]) -> None:
    result = train("--check", "+experiment=DIGITS_VAE", "device=slurm")
    assert result.code == 0, result


GRID = ("-m", *SMALL_VAE, *TWO_STEPS, "logging=none")


@pytest.mark.slow
def test_a_submitted_grid_ends_with_a_table_and_writes_only_to_its_folders(
    train: Callable[..., Any], tmp_path: Path
) -> None:
    pytest.importorskip("submitit")
    result = train(*GRID, "params.beta=0.1,0.5", "hydra/launcher=submitit_local")
    assert result.code == 0, result
    assert "params.beta=0.1" in result.output
    assert "params.beta=0.5" in result.output
    assert "failed" not in result.output
    runs = list((tmp_path / "runs" / "DIGITS" / "VAE").iterdir())
    assert [read_description(run)["complete"] for run in runs] == [True, True]
    (grid,) = (tmp_path / "runs" / "grids").iterdir()
    assert {path.name for path in grid.iterdir()} == {
        "multirun.yaml",
        ".submitit",
        "grid.json",
        "job-0.json",
        "job-1.json",
        "report.html",
        "results.csv",
        "results.json",
    }
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]  # the working directory


@pytest.mark.slow
def test_a_submitted_job_that_fails_is_reported_with_the_folder_of_its_output(
    train: Callable[..., Any], tmp_path: Path
) -> None:
    pytest.importorskip("submitit")
    result = train(*GRID, "params.beta=1,-1", "hydra/launcher=submitit_local")
    assert result.code == 2, result
    assert "params.beta=-1" in result.output
    assert "failed" in result.output
    assert "the output of each job is in" in result.errors
    logs = [path.read_text() for path in (tmp_path / "runs" / "grids").rglob("*_log.err")]
    assert sum("`beta` must be non-negative" in log for log in logs) == 1


@pytest.mark.slow
def test_a_submitted_job_that_is_killed_counts_as_failed(train: Callable[..., Any], tmp_path: Path) -> None:
    pytest.importorskip("submitit")
    code = ["import os, signal", "def die() -> None:", "    os.kill(os.getpid(), signal.SIGKILL)"]
    (tmp_path / "deadly.py").write_text("\n".join(code))
    result = train(*GRID, "params.z_dim=2,{_target_:deadly.die}", "hydra/launcher=submitit_local")
    assert result.code == 1, result
    assert "`hydra/launcher`: Job" in result.errors
    assert "Traceback" not in result.errors
    assert "failed" in result.output


def test_a_missing_cluster_is_reported(train: Callable[..., Any]) -> None:
    pytest.importorskip("submitit")
    result = train(*GRID, "params.beta=0.1,0.5", "hydra/launcher=submitit_slurm")
    assert result.code == 1, result
    assert 'Could not detect "srun"' in result.errors
    assert "Traceback" not in result.errors


def test_a_missing_launcher_is_reported_with_the_extra_to_install(
    train: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    Plugins.instance()  # registers the installed launchers
    monkeypatch.delitem(ConfigStore.instance().repo["hydra"]["launcher"], "submitit_slurm.yaml", raising=False)
    result = train(*GRID, "params.beta=0.1,0.5", "hydra/launcher=submitit_slurm")
    assert result.code == 2, result
    assert "`uv sync --extra slurm`" in result.errors
    assert len(result.errors.splitlines()) == 1
