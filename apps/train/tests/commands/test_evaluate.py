import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from frame_train import load_run
from old_runs import make_format_1
from processes import Commands, ForkServer

Command = Callable[..., Any]
ON_TEST = ("evaluation.elbo_validation.name=ELBO/Test", "evaluation.elbo_validation.evaluator.evaluate_on=test")


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """Return a copy of the trained run in another folder."""
    return Path(shutil.copytree(trained, tmp_path / "it's a run, a=b" / "1"))


def read_lines(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def read_new(run: Path, trained: Path) -> list[dict[str, Any]]:
    """Read the entries that were added to the trained run, without their times and their mark."""
    new = read_lines(run)[len(read_lines(trained)) :]
    assert all(line["evaluated"] for line in new)
    rest = ("time", "seconds", "evaluated")
    return [{name: value for name, value in line.items() if name not in rest} for line in new]


def test_evaluate_reproduces_the_bound_of_the_training_exactly(
    run: Path, trained: Path, fork_server: ForkServer, tmp_path: Path
) -> None:
    (tmp_path / "here").mkdir()
    command = Commands(fork_server, tmp_path / "here").run(f"run={run}", program="evaluate")
    assert command.code == 0, command.output
    expected = {name: line[name] for line in read_lines(trained) for name in line if name.startswith("ELBO/")}
    assert set(expected) == {"ELBO/Validation", "ELBO/Train"}
    found = {name: line[name] for line in read_new(run, trained) for name in line if name.startswith("ELBO/")}
    assert found == expected
    assert [path.name for path in run.parent.iterdir()] == ["1"]
    assert [path.name for path in (tmp_path / "here").iterdir()] == ["output-1.txt"]


def test_a_run_of_format_1_is_evaluated_with_the_numbers_of_examples_and_draws_of_its_training(
    evaluate: Command, run: Path, trained: Path
) -> None:
    make_format_1(run)
    stored = (run / "config.yaml").read_text()
    assert "n_latent_samples" not in stored
    result = evaluate(f"run={run}")
    assert result.code == 0, result
    *_, at_the_end = (line["ELBO/Train"] for line in read_lines(trained) if "ELBO/Train" in line)
    assert [line["ELBO/Train"] for line in read_new(run, trained) if "ELBO/Train" in line] == [at_the_end]
    assert (run / "config.yaml").read_text() == stored
    assert json.loads((run / "run.json").read_text())["format"] == 1


def test_a_new_evaluation_is_appended_to_the_logs_of_the_run(evaluate: Command, run: Path, trained: Path) -> None:
    arguments = ("evaluation=[elbo,interpolation]", "~evaluation.elbo_train", *ON_TEST)
    result = evaluate(f"run={run}", "weights=step-00000002", *arguments)
    assert result.code == 0, result
    assert result.errors == ""
    elbo, picture = read_new(run, trained)
    where = {"trainer/global_step": 2, "counters/iteration": 2}
    assert elbo == {**where, "ELBO/Test": elbo["ELBO/Test"]}
    assert picture == {**where, "Images/Interpolation": "images/Images_Interpolation-00000002.png"}
    assert (run / picture["Images/Interpolation"]).is_file()
    events = EventAccumulator(str(run)).Reload()
    assert [event.step for event in events.Scalars("ELBO/Test")] == [2]
    assert events.Scalars("ELBO/Test")[0].value == pytest.approx(elbo["ELBO/Test"])
    assert {"ELBO/Validation", "Train/loss"} < set(events.Tags()["scalars"])  # those of the training remain
    assert "ELBO/Test" in (run / "report.html").read_text()
    description = json.loads((run / "run.json").read_text())  # later entries do not lengthen the training
    (last,) = {line["time"] for line in read_lines(trained)[-1:]}
    assert 0 <= datetime.fromisoformat(description["ended"]).timestamp() - int(last) <= 1
    assert "ELBO/Test" in result.output
    assert str(run) in result.output


def test_all_checkpoints_are_evaluated_in_order_of_their_steps(evaluate: Command, run: Path, trained: Path) -> None:
    result = evaluate(f"run={run}", "weights=all", "+evaluation=elbo", "~evaluation.elbo_train", *ON_TEST)
    assert result.code == 0, result
    new = read_new(run, trained)
    assert [line["trainer/global_step"] for line in new] == [2, 4]
    assert [line["counters/iteration"] for line in new] == [2, 4]
    assert len({line["ELBO/Test"] for line in new}) == 2
    assert result.output.count("ELBO/Test") == 2


def test_several_runs_are_evaluated_and_one_that_fails_does_not_stop_the_others(
    evaluate: Command, run: Path, trained: Path, tmp_path: Path
) -> None:
    broken = Path(shutil.copytree(run, tmp_path / "broken"))
    (broken / "config.yaml").write_text("model: [")
    other = Path(shutil.copytree(run, tmp_path / "other"))
    result = evaluate(str(run), str(broken), f"run={other}", "+evaluation=elbo", "~evaluation.elbo_train", *ON_TEST)
    assert result.code == 2
    assert str(broken) in result.errors
    assert read_new(run, trained) == read_new(other, trained) != []


def test_last_is_the_newest_run_of_this_machine(evaluate: Command, trained: Path, tmp_path: Path) -> None:
    root = tmp_path / "runs"
    for name in ("2026-01-01_00-00-00", "2026-01-02_00-00-00", "2026-01-03_00-00-00"):
        shutil.copytree(trained, root / "DIGITS" / "VAE" / name)
    shutil.rmtree(root / "DIGITS" / "VAE" / "2026-01-03_00-00-00" / "checkpoints")
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    result = evaluate("--check", "last", f"device.experiments_root={root}")
    assert (result.code, result.errors) == (0, "last: no mistakes\n")
    result = evaluate("run=last", "+evaluation=elbo", f"device.experiments_root={root}")
    assert result.code == 0, result
    changed = {path.parent.name for path in before if path.read_bytes() != before[path]}
    assert changed >= {"2026-01-02_00-00-00"}
    assert not changed & {"2026-01-01_00-00-00", "2026-01-03_00-00-00"}
    shutil.rmtree(root)
    result = evaluate("run=last", f"device.experiments_root={root}")
    advice = "Set `device.experiments_root` to the folder of the runs."
    assert result.errors == f"error: `run`: there is no run with a checkpoint below {str(root)!r}. {advice}\n"


def test_a_check_reports_mistakes_and_writes_no_entry(evaluate: Command, run: Path, trained: Path) -> None:
    result = evaluate("--check", str(run), "+evaluation=accuracy")
    assert result.code == 2
    assert "needs a `ClassificationModel`" in result.errors
    assert read_lines(run) == read_lines(trained)


def test_the_options_of_the_group_are_listed(evaluate: Command) -> None:
    result = evaluate("--list")
    assert {"elbo", "samples"} <= {line.split()[0] for line in result.output.splitlines()}


def test_a_stored_evaluation_can_be_overridden(evaluate: Command, run: Path, trained: Path) -> None:
    result = evaluate(f"run={run}", "evaluation.elbo_train.evaluator.evaluate_on=test")
    assert result.code == 0, result
    assert "the run has logged 'ELBO/Train' on 'train', and now it is evaluated on 'test'" in result.errors
    assert "evaluation.elbo_train.name=" in result.errors
    names = {name for line in read_new(run, trained) for name in line}
    assert names >= {"ELBO/Train", "ELBO/Validation", "Images/Samples", "Images/Reconstructions"}


OWN_EVALUATION = """
from frame_core import SCALAR_ENTRY, Evaluation, LogEntry

class Weight(Evaluation):
    def __init__(self, factor, model):
        self.factor = factor
        self.model = model

    def evaluate(self, optimization):
        assert optimization.model is self.model
        assert not optimization.model.training
        return LogEntry(SCALAR_ENTRY, self.factor * optimization.counters["iteration"])
"""

OWN_OPTION = """# An evaluation of the user.
weight:
  _target_: frame_train.callbacks.EvaluationCallback
  name: Own
  evaluate_every: 1 epoch
  evaluator: {_target_: own_evaluation_of_runs.Weight, factor: "${params.z_dim}", model: "${model}"}
"""


def test_a_user_evaluation_can_refer_to_the_params_and_the_model_of_the_run(
    evaluate: Command, run: Path, trained: Path, tmp_path: Path
) -> None:
    (tmp_path / "own_evaluation_of_runs.py").write_text(OWN_EVALUATION)
    (tmp_path / "own" / "evaluation").mkdir(parents=True)
    (tmp_path / "own" / "evaluation" / "weight.yaml").write_text(OWN_OPTION)
    result = evaluate("--config-dir", "own", f"run={run}", "weights=all", "+evaluation=weight")
    assert result.code == 0, result
    assert [line["Own"] for line in read_new(run, trained)] == [32, 64]


def run_installed(command: str, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run an installed command in a process of its own."""
    path = Path(sys.executable).with_name(command)
    keep = {name: os.environ[name] for name in ("PATH", "LANG", "OMP_NUM_THREADS") if name in os.environ}
    return subprocess.run([path, *arguments], capture_output=True, text=True, env=keep, cwd=folder)


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        "evaluate run=. allow=[own]",
        pytest.param("evaluate run=.", marks=pytest.mark.slow),
        pytest.param("train --list", marks=pytest.mark.slow),
    ],
)
def test_packages_inside_a_foreign_run_do_not_shadow_installed_ones(run: Path, command: str) -> None:
    for name in ("torchvision", "pandas", "hydra", "frame_train"):
        (run / name).mkdir()
        (run / name / "__init__.py").write_text(f"open({str(run / 'planted')!r}, 'w')")
    result = run_installed(*command.split(), folder=run)
    assert result.returncode == 0, result
    assert not (run / "planted").exists()


@pytest.mark.slow
def test_the_current_folder_is_searched_only_if_user_code_is_allowed(run: Path) -> None:
    (run / "own_prior.py").write_text(
        "from frame_architectures import DiagonalNormal\nclass Own(DiagonalNormal): ...\n"
    )
    config = OmegaConf.load(run / "config.yaml")
    config.architectures.prior._target_ = "own_prior.Own"
    OmegaConf.save(config, run / "config.yaml")
    result = run_installed("evaluate", "run=.", "evaluation.own._target_=own_prior.Own", folder=run)
    assert result.returncode == 2, result
    assert "there is no `own_prior.Own`" in result.stderr
    result = run_installed("evaluate", "run=.", "allow=[own_prior]", folder=run)
    assert result.returncode == 0, result


JOINT = """# @package _global_
# Two models of digits that share their encoder.
defaults: [/data: Digits, /architectures: Digits, /model@models.vae: VAE, /model@models.ae: VAE]
run: {project: DIGITS, name: Joint}
params: {z_dim: 4, beta: 1.0, encoder_layers: [8], decoder_layers: [8], batch_size: 64}
optimization:
  _target_: frame_train.optimization.JointOptimization
  models: ${models}
  data: ${data}
  batch_size: 64
  num_workers: 0
  optimizer: {_target_: torch.optim.Adam, _partial_: true}
evaluation:
  elbo:
    _target_: frame_train.callbacks.EvaluationCallback
    name: ELBO
    evaluate_every: 1 epoch
    evaluator:
      _target_: frame_eval.PartEvaluation
      part: vae
      evaluator: {_target_: frame_eval.ELBOEvaluation, evaluate_on: valid}
"""

ADVERSARIAL = """# @package _global_
# Generated digits.
defaults: [/data: Digits, /model: GAN, /optimization: adversarial_ADAM, /evaluation: samples]
run: {project: DIGITS, name: GAN}
params: {z_dim: 4, n_critic: 1, generator_lr: 1.0e-3, discriminator_lr: 1.0e-3, betas: [0.5, 0.9], batch_size: 64}
architectures:
  generator:
    _target_: own_generator_of_digits.Generator
  discriminator:
    _target_: torch.nn.Sequential
    _args_:
      - {_target_: torch.nn.Flatten}
      - {_target_: torch.nn.Linear, in_features: 64, out_features: 1}
      - {_target_: torch.nn.Flatten, start_dim: 0}
  prior: {_target_: frame_architectures.DiagonalNormal, z_dim: 4}
"""

GENERATOR = """
from frame_core import ConditionalDistribution, Delta
from torch import nn

class Generator(ConditionalDistribution):
    def __init__(self):
        super().__init__()
        self.network = nn.Sequential(nn.Linear(4, 64), nn.Unflatten(-1, (1, 8, 8)))

    def forward(self, z):
        return Delta(self.network(z), 3)
"""


@pytest.mark.parametrize(("experiment", "name"), [(JOINT, "ELBO"), (ADVERSARIAL, "Images/Samples")])
def test_joint_and_adversarial_runs_are_evaluated(
    train: Command, evaluate: Command, tmp_path: Path, experiment: str, name: str
) -> None:
    (tmp_path / "own" / "experiment").mkdir(parents=True)
    (tmp_path / "own" / "experiment" / "Small.yaml").write_text(experiment)
    (tmp_path / "own_generator_of_digits.py").write_text(GENERATOR)
    arguments = ("logging=none", "trainer.max_epochs=1", "trainer.limit_train_batches=2")
    result = train("--config-dir", "own", "+experiment=Small", *arguments)
    assert result.code == 0, result
    (run,) = (tmp_path / "runs" / "DIGITS").glob("*/*")
    before = read_lines(run)
    result = evaluate(f"run={run}", "allow=own_generator_of_digits")
    assert result.code == 0, result
    assert result.errors == ""
    (new,) = read_lines(run)[len(before) :]
    expected = [line[name] for line in before if name in line][-1]
    assert new[name] == expected or name.startswith("Images/")


def set_foreign_target(run: Path) -> None:
    config = OmegaConf.load(run / "config.yaml")
    config.architectures.prior._target_ = "subprocess.Popen"
    OmegaConf.save(config, run / "config.yaml")


@pytest.mark.parametrize(
    ("arguments", "messages"),
    [
        ([], ["`run` is missing"]),
        (["run={run}", "allow=5"], ["`allow` must be a list of names", "got 5"]),
        (["run={run}", "allow=null"], ["`allow` must be a list of names", "got None"]),
        (["run={run}", "evaluation.elbo_train.evaluator=5"], ["evaluator` must be of type Evaluation, got 5"]),
        (["run={run}", "evaluation.elbo_train.name=time"], ["`evaluation.elbo_train.name`: 'time'", "Choose another"]),
        (["run={run}", "~evaluation.elbo_tain"], ["no `elbo_tain` to remove", "Did you mean `elbo_train`?"]),
        (["run={run}", "~evaluation.elbo_train.nam"], ["`evaluation.elbo_train` has no `nam`", "`name`?"]),
        (["run=runs/nowhere"], ["There is no run 'runs/nowhere'"]),
        (["run={run}", "weights=bst"], ["`weights`", "best, last, step-00000002, step-00000004", "`best`?"]),
        (["run={run}", "wieghts=best"], ["has no key `wieghts`", "Did you mean `weights`?"]),
        (["run={run}", "params.beta=1"], ["has no key `params.beta`", "Everything else comes from the run"]),
        (["run={run}", "+evaluation=elob"], ["`evaluation` has no option `elob`", "Did you mean `elbo`?"]),
        (["run={run}", "+evaluation=accuracy"], ["`evaluation.accuracy_validation`", "needs a `ClassificationModel`"]),
        (
            ["run={run}", "+evaluation=elbo", "evaluation.elbo_train.evaluator.evaluate_on=tset"],
            ["`evaluation.elbo_train`", "no split 'tset'", "'train', 'valid', 'test'"],
        ),
        (
            ["run={run}", "evaluation.elbo_tain.evaluator.evaluate_on=test"],
            ["`evaluation.elbo_tain` must be an `EvaluationCallback`", "Did you mean `evaluation.elbo_train`?"],
        ),
        (["run={run}", "evaluation.elbo_train.name=ELBO/Validation"], ["is also the name of `evaluation.elbo_val"]),
        (["run={run}", "evaluation.elbo_train.evaluator.n_sample=1"], ["Did you mean `n_samples`?"]),
        (["run={run}", "device=nowhere"], ["`device` has no option `nowhere`", "default, laptop, slurm, workstation"]),
        (["run={spoiled}"], ["`architectures.prior._target_`", "'subprocess.Popen'", "allow=[subprocess.Popen]"]),
        (["--diff", "{run}"], ["`--diff` needs two runs, got 1"]),
        (["--diff", "{run}", "nowhere"], ["There is no run 'nowhere'"]),
    ],
    ids=lambda value: " ".join(value)[-40:],
)
def test_a_mistake_is_reported_in_a_few_lines_and_logs_nothing(
    evaluate: Command, run: Path, trained: Path, tmp_path: Path, arguments: list[str], messages: list[str]
) -> None:
    spoiled = shutil.copytree(run, tmp_path / "spoiled")
    set_foreign_target(spoiled)
    result = evaluate(*(argument.format(run=run, spoiled=spoiled) for argument in arguments))
    assert result.code == 2
    assert len(result.errors.splitlines()) <= 5
    for message in messages:
        assert message in result.errors
    assert result.output == ""
    assert read_new(run, trained) == []


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("logger", "abc", "`logger` must be a mapping of names to components, got 'abc'"),
        ("evaluation", "abc", "`evaluation` must be a mapping of names to components, got 'abc'"),
        ("logger.tensorboard", 5, "`logger.tensorboard` must be a component with a `_target_`, got 5"),
        ("logger.tensorboard", {"a": 1}, "`logger.tensorboard` must be a `Logger`, got {'a': 1}"),
        ("evaluation.elbo_train.evaluator", 5, "evaluator` must be of type Evaluation, got 5"),
    ],
)
def test_a_malformed_stored_config_is_reported(
    evaluate: Command, run: Path, trained: Path, key: str, value: Any, message: str
) -> None:
    config = OmegaConf.load(run / "config.yaml")
    OmegaConf.update(config, key, value, merge=False)
    OmegaConf.save(config, run / "config.yaml")
    result = evaluate(f"run={run}")
    assert result.code == 2
    assert message in result.errors
    assert len(result.errors.splitlines()) <= 3
    assert read_new(run, trained) == []


@pytest.mark.parametrize("text", ["5", "", "- 1", "a: [1\nb: {"])
def test_an_unreadable_stored_config_is_reported(evaluate: Command, run: Path, trained: Path, text: str) -> None:
    (run / "config.yaml").write_text(text)
    for arguments in ([f"run={run}"], ["--diff", str(trained), str(run)]):
        result = evaluate(*arguments)
        assert result.code == 2
        assert "config.yaml" in result.errors
        assert len(result.errors.splitlines()) <= 3
        assert result.output == ""


def test_a_stored_evaluation_can_be_removed(evaluate: Command, run: Path, trained: Path) -> None:
    result = evaluate(f"run={run}", "~evaluation.elbo_train", "~evaluation.samples")
    assert result.code == 0, result
    names = {name for line in read_new(run, trained) for name in line}
    assert names >= {"ELBO/Validation", "Images/Reconstructions"}
    assert not names & {"ELBO/Train", "Images/Samples"}


FAILING = """
from frame_core import Evaluation

class Failing(Evaluation):
    def __init__(self, evaluate_on, n_samples=None, n_latent_samples=1):
        pass

    def evaluate(self, optimization):
        raise KeyError("nothing there")
"""


def test_a_failed_evaluation_is_reported_after_the_others_have_run(
    evaluate: Command, run: Path, trained: Path, tmp_path: Path
) -> None:
    (tmp_path / "own_failing_evaluation.py").write_text(FAILING)
    evaluator = "evaluation.elbo_train.evaluator._target_=own_failing_evaluation.Failing"
    arguments = (f"run={run}", "allow=[own_failing_evaluation]", "+evaluation=elbo", *ON_TEST)
    result = evaluate(*arguments, "evaluation.elbo_train.on_error=continue", evaluator)
    assert result.code == 1, result
    assert "`evaluation.elbo_train` failed at step 4: KeyError: 'nothing there'" in result.errors
    assert "Traceback" not in result.errors
    assert "ELBO/Test" in result.output
    assert {name for line in read_new(run, trained) for name in line} >= {"ELBO/Test", "ELBO/Train/Error"}
    result = evaluate(*arguments, evaluator, "--traceback")
    assert result.code == 1
    assert "in evaluate\n" in result.errors


def test_the_traceback_flag_shows_the_traceback(evaluate: Command) -> None:
    result = evaluate("run=nowhere", "--traceback")
    assert result.code == 2
    assert "Traceback" in result.errors
    assert "There is no run 'nowhere'" in result.errors.splitlines()[-1]


def test_the_differences_between_two_runs_are_listed_by_key(evaluate: Command, run: Path, trained: Path) -> None:
    assert evaluate("--diff", str(trained), str(run)).output.count("nothing differs") == 4
    config = OmegaConf.load(run / "config.yaml")
    config.params.z_dim = 8
    config.logger = {}
    OmegaConf.save(config, run / "config.yaml")
    description = json.loads((run / "run.json").read_text())
    description.update(python="3.99.1", git={"commit": "0" * 40, "dirty": True})
    description["versions"]["torch"] = "9.0"
    (run / "run.json").write_text(json.dumps(description))
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"trainer/global_step": 4, "ELBO/Validation": 0.5}\n')
    output = evaluate("--diff", str(trained), str(run)).output
    table = [[cell.strip() for cell in line.split("│")] for line in output.splitlines()]
    rows = {cells[1]: cells[2:5] for cells in table if len(cells) == 6}
    assert rows["params.z_dim"] == ["16", "8", "-8"]
    assert rows["logger.tensorboard._target_"] == ["frame_loggers.TensorBoardLogger", "absent", ""]
    assert rows["python"][1] == "3.99.1"
    assert rows["versions.torch"][1] == "9.0"
    assert rows["git.commit"][1] == "0" * 40
    before = load_run(trained).metrics["ELBO/Validation"].dropna().iloc[-1]
    assert float(rows["ELBO/Validation"][2]) == pytest.approx(0.5 - before, rel=1e-4)
    assert not {"params.beta.end", "Train/loss", "run.directory"} & set(rows)


def test_the_help_fits_on_a_screen_and_ends_with_examples(evaluate: Command) -> None:
    lines = evaluate("--help").output.rstrip().splitlines()
    assert len(lines) <= 24
    assert lines[-1].strip().startswith("evaluation.elbo_validation.name=ELBO/Test")


def test_evaluations_and_loggers_may_be_lists(evaluate: Command, run: Path, trained: Path) -> None:
    config = OmegaConf.load(run / "config.yaml")
    config.evaluation = [config.evaluation.elbo_validation]
    config.logger = [config.logger.tensorboard]
    OmegaConf.save(config, run / "config.yaml")
    result = evaluate(f"run={run}")
    assert result.code == 0, result
    assert [set(line) for line in read_new(run, trained)] == [
        {"trainer/global_step", "counters/iteration", "ELBO/Validation"}
    ]
    assert len(list(run.glob("events.*"))) == 2
