"""Mistakes that a tired user makes: each is reported in a few lines, and leaves no files."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from frame_train.composition.settings import workspace
from frame_train.data.sources.mnist import FILES

DIGITS = "+experiment=DIGITS_VAE"
USER_EXPERIMENTS = {
    "listed": "callbacks: [{_target_: builtins.dict}]",
    "broken": "a: [1\nb: {",
    "misspelt": "params: {bta: 0.1}",
    "misread": "architectures: {encoder: {z_dim: '${params.z_dmi}'}}",
    "twins": "data: {train: {_target_: nothing.Here}}",
}

Train = Callable[..., Any]

MISTAKES: list[tuple[list[str], list[str]]] = [
    ([], ["+experiment=", "DIGITS_VAE", "MNIST_VAE"]),
    (["+experiment=MNIST_VEA"], ["`MNIST_VEA`", "DIGITS_VAE", "Did you mean `MNIST_VAE`"]),
    ([DIGITS, "params.beat=1"], ["`params.beat`", "Did you mean `params.beta`"]),
    ([DIGITS, "loging=none"], ["`loging`", "Did you mean `logging`"]),
    (
        [DIGITS, "logging=tensorbord"],
        ["`tensorbord`", "none, tensorboard, wandb", "`tensorboard`?"],
    ),
    ([DIGITS, "trainer.max_epoch=1"], ["`trainer`", "Did you mean `max_epochs`"]),
    ([DIGITS, "params.batch_size=0"], ["`batch_size` must be positive, got 0"]),
    ([DIGITS, "params.lr=fast"], ["`optimization.lr`", "float", "'fast'"]),
    ([DIGITS, "params.beta=[1"], ["`params.beta=[1` can't be parsed"]),
    ([DIGITS, "params.beta"], ["`params.beta` must be `key=value`"]),
    (
        [DIGITS, "model.encoder=${architectures.encodr}"],
        ["`model.encoder` refers to `architectures.encodr`, which does not exist", "`architectures.encoder`?"],
    ),
    (
        [DIGITS, "evaluation.samples.evaluate_every=often"],
        ["`evaluation.samples`", "'60 seconds'", "'often'"],
    ),
    (
        [DIGITS, "evaluation.samples.evaluate_every=3 epocs"],
        ["`evaluation.samples`", "Did you mean `epochs`"],
    ),
    ([DIGITS, "evaluation.samples.name=ELBO/Train"], ["'ELBO/Train'", "`evaluation.samples`"]),
    (
        [DIGITS, "evaluation.elbo_train.evaluator.evaluate_on=validation"],
        ["`evaluation.elbo_train`", "'validation'", "'train', 'valid', 'test'"],
    ),
    ([DIGITS, "run.name=../x"], ["`run.name`", "'../x'"]),
    ([DIGITS, "run.project=null"], ["`run.project` must be the name of a folder"]),
    ([DIGITS, "seed=null"], ["`seed` must be an integer from 0 to 2**32 - 1, got None"]),
    ([DIGITS, "seed=abc"], ["`seed`", "'abc'"]),
    ([DIGITS, "params.batch_size=1.5"], ["type int, got 1.5", "comes from `params.batch_size`"]),
    ([DIGITS, "params.batch_size=true"], ["type int, got True"]),
    ([DIGITS, "params.beta=-1"], ["`beta` must be non-negative", "comes from `params.beta`"]),
    ([DIGITS, "trainer.max_epochs=abc"], ["`trainer.max_epochs` must be of type int, got 'abc'"]),
    ([DIGITS, "trainer=none"], ["`trainer`", "'none'"]),
    ([DIGITS, "trainer.logger=false"], ["`trainer.logger`", "`logger:`"]),
    ([DIGITS, "trainer.strategy=fsdp"], ["`trainer.strategy` must be one of 'auto'", "got 'fsdp'", "complete model"]),
    ([DIGITS, "trainer.strategy=dpp"], ["`trainer.strategy` must be one of 'auto', 'ddp'", "got 'dpp'"]),
    ([DIGITS, "trainer.num_nodes=2", "trainer.accelerator=cpu"], ["`trainer.num_nodes`", "`torchrun --nnodes"]),
    ([DIGITS, "callbacks=null"], ["`callbacks=null`", "`~callbacks`"]),
    ([DIGITS, "device.data_root=null"], ["`device.data_root`", "None"]),
    ([DIGITS, "architectures.prior.z_dim=3"], ["`prior`", "event shape (16,)", "(3,)"]),
    (
        ["+experiment=MNIST_VAE", "device.download_files=off"],
        ["`data.train.download` must be of type bool, got 'off'"],
    ),
    ([DIGITS, "params.bata=1", "seeed=2"], ["`params.bata`", "Did you mean `params.beta`"]),
    ([DIGITS, "device=nowhere"], ["`nowhere`", "default, laptop, slurm, workstation"]),
    (
        ["+experiment=MNIST_VAE", "device.download_files=false", "device.data_root=nowhere"],
        ["nowhere/MNIST/raw'", *FILES, "DIGITS_VAE"],
    ),
    (["--config-dir=nowhere", DIGITS], ["nowhere", "not found"]),
    # What to train
    ([DIGITS, "model=VEA"], ["`VEA`", "VAE"]),
    ([DIGITS, "experiment=MNIST_VAE"], ["`experiment=` is set twice"]),
    ([DIGITS, "+evaluation=elbow"], ["`elbow`", "Did you mean `elbo`?"]),
    ([DIGITS, "beta=2"], ["`beta`", "Did you mean `params.beta`?"]),
    ([DIGITS, "~evaluation.sample"], ["`evaluation.sample`", "Did you mean `evaluation.samples`?"]),
    ([DIGITS, "params.beta=0.1,1"], ["`params.beta=0.1,1`", "`-m`", "[0.1,1]"]),
    ([DIGITS, "train_for=30", "minutes"], ["`minutes` must be `key=value`", "quotes"]),
    # Flags
    (["--lsit"], ["`--lsit`", "Did you mean `--list`?"]),
    (["--check-al", DIGITS], ["`--check-al`", "Did you mean `--check-all`?"]),
    (["--compatible-with", "evaluation=elbo"], ["`--compatible-with`", "`--list GROUP`"]),
    (["--list", "experimnt"], ["`experimnt`", "Did you mean `experiment`?"]),
    (["--list", "experiment", "--compatible-with", "evaluation=elbow"], ["`elbow`", "elbo"]),
    # Targets
    ([DIGITS, "model._target_=frame_models.VAE"], ["`model._target_`", "`frame_models.VAE`", "VariationalAutoencoder"]),
    ([DIGITS, "model._target_=frame_modles.VIB"], ["`model._target_`", "Did you mean `frame_models.VIB`?"]),
    ([DIGITS, "model._target_=frame_models.Clasifier"], ["Did you mean `Classifier`?"]),
    (
        [DIGITS, "model._target_=frame_architectures.digits"],
        ["must be a class or a function", "module"],
    ),
    (
        [DIGITS, "model._target_=frame_train.composition.objects._identity"],
        ["`model._target_`", "`_identity`", "private"],
    ),
    ([DIGITS, "model._target_=torch.nn"], ["`model._target_`", "`torch.nn` must be a class or a function", "'module'"]),
    ([DIGITS, "model._target_=5"], ["`model._target_`", "a class or a function", "got 5"]),
    ([DIGITS, "model._target_=null"], ["`model._target_`", "got None"]),
    ([DIGITS, "model._target_=os.system"], ["`model._target_`", "os.system"]),
    # Arguments
    ([DIGITS, "~model.encoder"], ["`model`", "VariationalAutoencoder", "'encoder'"]),
    ([DIGITS, "+model.enc=1"], ["VariationalAutoencoder has no argument `enc`", "Did you mean `encoder`?"]),
    ([DIGITS, "model.encoder=5"], ["`model.encoder` must be of type Module, got 5"]),
    ([DIGITS, "architectures.encoder.layers=5"], ["`architectures.encoder.layers` must be a list of int, got 5"]),
    ([DIGITS, "params.encoder_layers=[256,x]"], ["a list of int, got [256, 'x']", "`params.encoder_layers`"]),
    ([DIGITS, "+architectures.encoder.posterior=normal"], ["`posterior`", "'Normal'", "'normal'"]),
    ([DIGITS, "monitor.mode=maximum"], ["must be one of 'max', 'min', got 'maximum'", "`monitor.mode`"]),
    ([DIGITS, "+evaluation.samples.on_error=ignore"], ["must be one of 'stop', 'continue', got 'ignore'"]),
    ([DIGITS, "evaluation.samples.evaluator.n_pictures=many"], ["`evaluation.samples.evaluator.n_pictures`", "'many'"]),
    ([DIGITS, "data.train.split=trian"], ["`data.train`", "'train', 'valid', 'test', got 'trian'"]),
    ([DIGITS, "optimization=batch", "params.lr=-1"], ["`optimization`", "-1"]),
    # Missing values, references and cycles
    ([DIGITS, "params.z_dim=???"], ["`params.z_dim` has no value (`???`)"]),
    ([DIGITS, "params.z_dim=null"], ["must be of type int, got None", "It comes from `params.z_dim`"]),
    ([DIGITS, "params.beta=${params.beta}"], ["`params.beta`: Recursive interpolation"]),
    ([DIGITS, "model.encoder=${model}"], ["`model.encoder`: Interpolation to parent node"]),
    ([DIGITS, "architectures.encoder=${model}"], ["`model.encoder`: Interpolation to parent"]),
    ([DIGITS, "params.beta=${oc.env:NOT_SET}"], ["`params.beta`", "'NOT_SET'"]),
    ([DIGITS, "params.beta=${nothing:3}"], ["`params.beta`", "nothing"]),
    ([DIGITS, "seed=99999999999999"], ["`seed`", "2**32", "got 99999999999999"]),
    ([DIGITS, "params=5"], ["`params` must be a mapping, got 5"]),
    ([DIGITS, "logger=5"], ["`logger` must be a mapping", "got 5"]),
    ([DIGITS, "evaluation=null"], ["`evaluation=null`", "the name of an option"]),
    ([DIGITS, "+model._args_=5"], ["`model._args_` must be of type list, got 5"]),
    ([DIGITS, "+model._partial_=maybe"], ["`model._partial_` must be of type bool, got 'maybe'"]),
    ([DIGITS, "evaluation.samples.evaluator=5"], ["`evaluation.samples.evaluator` must be of type Evaluation, got 5"]),
    ([DIGITS, "optimization=batch", "optimization.optimizer=5"], ["`optimization.optimizer`", "`_partial_: true`"]),
    ([DIGITS, "optimization._target_=torch.nn.Identity"], ["`optimization` must be a LightningModule", "Identity()"]),
    ([DIGITS, "evaluation.samples.evaluator={sort: 1}"], ["`evaluation.samples.evaluator.sort`"]),
    (["--config-dir=my", "+experiment=nowhere"], ["`experiment`", "# @package _global_", "nowhere.yaml"]),
    ([DIGITS, "hydra/launcher=basic"], ["`hydra/launcher` needs a grid"]),
    ([DIGITS, "trainer.devices=0"], ["`trainer.devices` must be a positive number", "got 0"]),
    # Values that do not fit together
    ([DIGITS, "architectures.decoder.z_dim=5"], ["`architectures.decoder`", "for an input of shape (2, 16)", "5x"]),
    ([DIGITS, "architectures=MNIST"], ["`architectures.encoder`", "(1, 28, 28)", "(2, 1, 8, 8)"]),
    ([DIGITS, "model=GAN"], ["`model.generator` refers to `architectures.generator`"]),
    ([DIGITS, "~data.train"], ["`data` has no split 'train'; it has 'valid', 'test'"]),
    ([DIGITS, "~data.valid"], ["`evaluation.elbo_validation`", "no split 'valid'; it has 'train', 'test'"]),
    (["+experiment=DIGITS_Classifier", "+evaluation=elbo"], ["`ELBOEvaluation` needs a `VariationalModel`"]),
    ([DIGITS, "monitor.metric=ELBO/Valid"], ["nothing logs 'ELBO/Valid'", "Did you mean `ELBO/Validation`?"]),
    ([DIGITS, "evaluation.samples.name=time"], ["`evaluation.samples.name`", "'time'"]),
    ([DIGITS, "evaluation=elbo"], ["`evaluation.samples` must be a Callback", "`~evaluation.samples`"]),
    ([DIGITS, "+callbacks.mine=5"], ["`callbacks.mine` must be a Callback, got 5"]),
    (["--config-dir=my", "+experiment=listed"], ["`callbacks.dict` must be a Callback", "listed.yaml"]),
    (["--config-dir=my", "+experiment=misspelt"], ["`params.bta`", "`params.beta`?", "misspelt.yaml"]),
    (["--config-dir=my", "+experiment=misread"], ["`params.z_dmi`", "`params.z_dim`?", "\n  in ", "misread.yaml\n"]),
    (["--config-dir=my", "+experiment=broken"], ["broken.yaml"]),
    (["--config-dir=my", "+experiment=relative"], ["`experiment/data/Digits`", "Did you mean `/data: Digits`?"]),
    (["--config-dir=my", "+experiment=unlisted"], ["`evaluation` has no option `elbow`", "Did you mean `elbo`?"]),
    (["--config-dir=my", "+experiment=empty"], ["`optimization` has no value", "the `defaults` of `empty`"]),
    (["--config-dir=my", "+experiment=homeless"], ["`experiment=homeless`", "`# @package _global_`"]),
    (["--config-dir=my", "+experiment=circular"], ["An option lists itself in its `defaults`", "+experiment=circular"]),
    (["--config-dir=my", "+experiment=unordered"], ["every `override` must come after", "`/evaluation: [loss]`"]),
    (["--config-dir=my", "+experiment=disordered"], ["'model : GAN' is defined before 'evaluation: loss'. Move it"]),
    # Durations, intervals and devices
    ([DIGITS, "evaluation.samples.evaluate_every=3"], ["'60 seconds'", "got 3"]),
    ([DIGITS, "evaluation.samples.evaluate_every='-3 epochs'"], ["`evaluation.samples`", "'-3 epochs'"]),
    ([DIGITS, "evaluation.samples.evaluate_every='3 generator_steps'"], ["'generator_steps'", "iterations"]),
    ([DIGITS, "train_for=long"], ["`train_for`", "'60 seconds'", "'long'"]),
    (
        [DIGITS, "trainer.accelerator=gpu"],
        ["`trainer.accelerator`: 'gpu' is not available on this machine", "`device=default`"],
    ),
    ([DIGITS, "trainer.fast_dev_run=true"], ["`trainer.fast_dev_run`", "`trainer.max_steps=2`"]),
    ([DIGITS, "trainer.val_check_interval=0.5"], ["`trainer.val_check_interval`", "`evaluate_every`"]),
    ([DIGITS, "trainer.accumulate_grad_batches=0"], ["`trainer.accumulate_grad_batches` must be at least 1, got 0"]),
    ([DIGITS, "trainer.gradient_clip_val=-1"], ["`trainer.gradient_clip_val` must be non-negative", "got -1"]),
    ([DIGITS, "trainer.precision=12"], ["`trainer.precision` must be one of", "got 12"]),
]


NAMES = [" ".join(arguments)[-60:] for arguments, _ in MISTAKES]
OF_A_MACHINE = (
    "accelerator",
    "num_nodes",
    "data_root",
    "experiments_root",
    "run.name",
    "run.project",
    "--list",
    "--compatible",
)
"""Arguments that only that machine can check, or that are not part of a config."""


@pytest.fixture(autouse=True)
def user_options(tmp_path: Path) -> None:
    """Write experiments of the user that are wrong in themselves."""
    (tmp_path / "my" / "experiment").mkdir(parents=True)
    for name, text in USER_EXPERIMENTS.items():
        head = "# @package _global_\ndefaults: [DIGITS_VAE, _self_]\n"
        (tmp_path / "my" / "experiment" / f"{name}.yaml").write_text(head + text)
    (tmp_path / "my" / "experiment" / "circular.yaml").write_text("# @package _global_\ndefaults: [circular]\n")
    for name, option in {"unordered": "[loss]", "disordered": "loss"}.items():
        text = f"# @package _global_\ndefaults: [DIGITS_VAE, override /model: GAN, /evaluation: {option}]\n"
        (tmp_path / "my" / "experiment" / f"{name}.yaml").write_text(text)
    for name, entry in {"relative": "data: Digits", "unlisted": "/evaluation: [elbow]", "empty": "_self_"}.items():
        text = f"# @package _global_\ndefaults: [{entry}]\n"
        (tmp_path / "my" / "experiment" / f"{name}.yaml").write_text(text)
    (tmp_path / "my" / "experiment" / "homeless.yaml").write_text("defaults: [DIGITS_VAE, override /model: GAN]\n")
    (tmp_path / "my" / "experiment" / "nowhere.yaml").write_text("defaults: [DIGITS_VAE]\nparams: {z_dim: 3}\n")


@pytest.mark.parametrize(("arguments", "messages"), MISTAKES, ids=NAMES)
def test_a_mistake_is_reported_in_a_few_lines_and_leaves_no_files(
    train: Train, tmp_path: Path, arguments: list[str], messages: list[str]
) -> None:
    code, output, errors = train("logging=none", *arguments)
    assert code == 2
    assert "Traceback" not in errors
    assert len(errors.splitlines()) <= 10
    for message in messages:
        assert message in errors
    assert output == ""
    assert [path.name for path in tmp_path.iterdir()] == ["my"]


@pytest.mark.slow
@pytest.mark.parametrize(("arguments", "messages"), MISTAKES, ids=NAMES)
def test_check_reports_each_mistake_too(
    train: Train, tmp_path: Path, arguments: list[str], messages: list[str]
) -> None:
    result = train("--check", "logging=none", *arguments)
    assert "Traceback" not in result.errors
    assert all(len(problem.splitlines()) <= 10 for problem in result.errors.split("error: "))
    if not any(word in " ".join(arguments) for word in OF_A_MACHINE):
        assert result.code == 2
        assert any(message in result.errors for message in messages)
    assert [path.name for path in tmp_path.iterdir()] == ["my"]


def test_there_are_at_least_sixty_different_mistakes() -> None:
    assert len({" ".join(arguments) for arguments, _ in MISTAKES}) == len(MISTAKES) >= 60


README_MISTAKES = [
    ["+experiment=MNIST_VAE", "params.beat=1"],
    ["+experiment=MNIST_VAE", "architectures.prior.z_dim=32"],
    ["+experiment=MNIST_GAN", "+evaluation=elbo"],
    ["+experiment=MNIST_VAE", "monitor.metric=ELBO/Valid"],
    ["+experiment=MNIST_VAE", "params.encoder_layers=1024"],
]


def test_the_table_of_the_readme_shows_the_messages(train: Train) -> None:
    rows = ["| `uv run train --check …` | message |", "| --- | --- |"]
    for arguments in README_MISTAKES:
        result = train("--check", *arguments)
        assert result.code == 2
        problem = result.errors.split("error: ")[1].strip().replace("\n", "<br>")
        rows.append(f"| `{' '.join(arguments)}` | {problem} |")
    assert "\n".join(rows) in (workspace() / "README.md").read_text()
