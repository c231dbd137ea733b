import math
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from wandb.sdk.launch.sweeps.utils import create_sweep_command_args
from wandb.sdk.lib.config_util import save_config_file_from_dict

from frame_train.composition.command_line.overrides import normalize_overrides
from frame_train.composition.settings import HYDRA_DEFAULTS, workspace
from runs import TWO_STEPS, compose_train
from wandb_server import WandbServer

APP = Path(__file__).parents[2]
SWEEPS = sorted((APP / "sweeps").glob("*.yaml"))

VALUES = ({"params.beta": 0.1, "seed": 3}, {"params.beta": 2.5e-05, "seed": 3})


@pytest.fixture
def server() -> Iterator[Any]:
    """Run a stand-in for the server of W&B whose sweep has the values `VALUES`."""
    with WandbServer(VALUES) as server:
        yield server
    assert server.problems == []


@pytest.fixture
def wandb(server: Any, tmp_path: Path) -> Callable[..., str]:
    """Run the command `wandb` with the stand-in as its only server, and return its output."""
    # Without WANDB_DIR, it would write to the current directory, which is in the repository.
    environment = server.make_environment(tmp_path / "home") | {"WANDB_DIR": str(tmp_path)}

    def run(*arguments: str, cwd: Path) -> str:
        command = [str(Path(sys.executable).with_name("wandb")), *arguments]
        result = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300)
        assert result.returncode == 0, result
        return result.stdout + result.stderr

    return run


@pytest.mark.parametrize(
    "folder", [pytest.param(workspace(), id="root"), pytest.param(APP, id="app", marks=pytest.mark.slow)]
)
def test_wandb_creates_the_sweep_that_the_file_describes(server: Any, wandb: Callable[..., str], folder: Path) -> None:
    path = APP / "sweeps" / "MNIST_VAE.yaml"
    output = wandb("sweep", str(path.relative_to(folder)), cwd=folder)
    assert "wandb agent somebody/MNIST/sweep" in output
    assert server.sweep["config"] == yaml.safe_load(path.read_text())


@pytest.mark.slow
def test_an_agent_trains_the_runs_of_a_sweep(server: Any, wandb: Callable[..., str], tmp_path: Path) -> None:
    """The shipped sweep with two steps on DIGITS_VAE, created at the root and run in apps/train."""
    sweep = yaml.safe_load((APP / "sweeps" / "MNIST_VAE.yaml").read_text())
    train = [sys.executable, "-m", "frame_train", "+experiment=DIGITS_VAE", *TWO_STEPS]
    assert sweep["command"] == ["uv", "run", "train", "+experiment=MNIST_VAE", "${args_no_hyphens}"]
    sweep["command"] = [*train, f"device.experiments_root={tmp_path / 'runs'}", "${args_no_hyphens}"]
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(sweep))
    output = wandb("sweep", str(tmp_path / "sweep.yaml"), cwd=workspace())
    (agent,) = re.findall(r"wandb agent (\S+)", output)
    output = wandb("agent", "--count", str(len(VALUES)), agent, cwd=APP)

    assert server.sweep["config"] == sweep
    assert len(server.runs) == len(VALUES), output
    for run, values in zip(server.runs.values(), VALUES):
        assert run["exit_code"] == 0, output
        assert (run["project"], run["sweep"]) == ("MNIST", "sweep")  # of the sweep, not of the config
        assert run["displayName"] == f"VAE beta={values['params.beta']} seed=3"
        assert run["groupName"] == "sweep"
        assert run["config"].items() >= values.items()
        assert run["config"]["params"]["beta"] == values["params.beta"]
        (entry,) = (entry for entry in run["history"] if "ELBO/Validation" in entry)
        assert math.isfinite(entry["ELBO/Validation"])
        assert entry["trainer/global_step"] == 2
    directories = sorted((tmp_path / "runs" / "DIGITS" / "VAE").iterdir())
    betas = [OmegaConf.load(directory / "config.yaml").params.beta for directory in directories]
    assert betas == [values["params.beta"] for values in VALUES]


def prepare_run(values: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Prepare a run as an agent does, and return the arguments of its command."""
    arguments = {key: {"value": value} for key, value in values.items()}
    path = tmp_path / "config-run.yaml"
    save_config_file_from_dict(str(path), arguments)
    monkeypatch.setenv("WANDB_SWEEP_PARAM_PATH", str(path))
    return create_sweep_command_args({"args": arguments})["args_no_hyphens"]


@pytest.mark.parametrize(
    "value",
    [
        -0.5,
        1e-05,
        1e20,
        math.inf,
        0,
        True,
        None,
        "",
        "word",
        "two words",
        " space ",
        "two\nlines",
        "true",
        "null",
        "1",
        "1_000",
        "12:30",
        "2020-01-01",
        "yes",
        "a,b",
        "a=b",
        "a:b",
        "a/b",
        "it's",
        'say "x"',
        "'quoted'",
        "back\\slash",
        "slash\\'quote\\",
        "(x)",
        "[x",
        "{x}",
        "#5",
        "$x",
        "~x",
        "é",
        "${params.z_dim}",
        "choice(1, 2)",
        [1, 2, 3],
        [],
        [[0.5, "a,b"], [None, "it's"]],
        {"a": 1},
        {},
        {"_target_": "a.b", "layers": [1, 2], "inner": {"text": "a, b"}},
    ],
    ids=repr,
)
def test_a_swept_value_reaches_the_config_unchanged(
    value: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "small.yaml").write_text("params: {beta: 0.1, z_dim: 2}")  # it is composed faster than an experiment
    arguments = prepare_run({"params.beta": value}, monkeypatch, tmp_path)
    with initialize_config_dir(str(tmp_path), **HYDRA_DEFAULTS):
        config = compose("small", normalize_overrides(arguments))
    params = OmegaConf.to_container(config.params, resolve=False)
    assert isinstance(params, dict)
    assert params["beta"] == value
    assert type(params["beta"]) is type(value)
    assert normalize_overrides(normalize_overrides(arguments)) == normalize_overrides(arguments)


def test_a_swept_value_is_read_as_in_a_config_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    values = {"params.beta": "1e-3", "params.lr": "${params.beta}", "evaluation": "samples", "logging": "none"}
    arguments = ["+experiment=DIGITS_VAE", *prepare_run(values, monkeypatch, tmp_path)]
    config = compose_train(*normalize_overrides(arguments))
    assert (config.params.beta, config.params.lr) == (1e-3, 1e-3)
    assert config.logger == {}


@pytest.mark.parametrize("prefix", ["", "+", "++"], ids=["args_no_hyphens", "args_append_hydra", "args_override_hydra"])
def test_every_argument_format_of_an_agent_for_hydra_works(
    prefix: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (argument,) = prepare_run({"params.beta": "a,b"}, monkeypatch, tmp_path)
    config = compose_train("+experiment=DIGITS_VAE", *normalize_overrides([prefix + argument]))
    assert config.params.beta == "a,b"


def test_arguments_that_are_not_swept_are_unchanged(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    prepare_run({"params.beta": "a,b"}, monkeypatch, tmp_path)
    arguments = ["--package", "params.beta", "seed=1,2", "params.beta2=(x)"]
    assert normalize_overrides(arguments) == arguments


def test_an_unknown_swept_key_is_reported_before_training(
    train: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    result = train("+experiment=DIGITS_VAE", *prepare_run({"params.beat": "a,b"}, monkeypatch, tmp_path))
    assert result.code == 2
    assert "Did you mean `params.beta`" in result.errors
    assert len(result.errors.splitlines()) == 1
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_a_sweep_file_begins_with_a_description_and_its_two_commands(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert re.match(r"# \w", lines[0])
    assert f"uv run wandb sweep {path.relative_to(workspace())}" in lines[1]
    assert "uv run wandb agent" in lines[2]


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_a_sweep_file_names_existing_keys_and_a_logged_metric(path: Path) -> None:
    sweep = yaml.safe_load(path.read_text())
    *program, arguments = sweep["command"]
    assert (program[:3], arguments) == (["uv", "run", "train"], "${args_no_hyphens}")
    config = compose_train(*normalize_overrides(program[3:]))
    assert config.run.project == sweep["project"]
    for key, choice in sweep["parameters"].items():
        assert "parameters" not in choice, f"`{key}`: write a nested key with dots"
        assert OmegaConf.select(config, key) is not None, f"`{key}` is not a key of the config"
    assert sweep["metric"]["name"] in [evaluation.name for evaluation in config.evaluation.values()]
