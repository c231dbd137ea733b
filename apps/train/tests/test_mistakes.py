"""Mistakes that a tired user makes: each is reported in a few lines, and leaves no files."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from frame_train.composition.settings import IS_HYDRA_1_3, workspace
from frame_train.data.sources.mnist import FILES
from frame_train.experiment import notices

DIGITS = "+experiment=DIGITS_VAE"
USER_EXPERIMENTS = {
    "listed": "callbacks: [{_target_: builtins.dict}]",
    "broken": "a: [1\nb: {",
    "misspelt": "params: {bta: 0.1}",
    "misread": "architectures: {encoder: {z_dim: '${params.z_dmi}'}}",
    "twins": "data: {train: {_target_: nothing.Here}}",
}

DEFAULTS = {
    "groupless": "[DIGITS_VAE, {/dta: Digits}, _self_]",
    "optionless": "[DIGITS_VAE, {/evaluation: [confusion_matix]}, _self_]",
    "relative": "[DIGITS_VAE, {optimization: batch_ADAM}, _self_]",
    "twice": "[DIGITS_VAE, {/data: MNIST}, _self_]",
    "overriding": "[DIGITS_VAE, {override optimization: batch}, _self_]",
    "circular": "[circular]",
    "unordered": "[DIGITS_VAE, override /model: GAN, /evaluation: [loss]]",
    "disordered": "[DIGITS_VAE, override /model: GAN, /evaluation: loss]",
}
"""The `defaults` of experiments of the user that Hydra can't compose."""

DIGITS_HEAD = "# @package _global_\ndefaults: [DIGITS_VAE, _self_]\n"
OWN_HEAD = "# @package _global_\ndefaults: [/data: Digits, /optimization: batch_ADAM, _self_]\n"
OWN_KEYS = "run: {name: x}\nparams: {lr: 1.0e-3, batch_size: 64}\ntrainer: {max_epochs: 1}\n"
OWN_FILES = {
    "tabs.yaml": DIGITS_HEAD + "params:\n\tbeta: 0.1\n",
    "unquoted.yaml": DIGITS_HEAD + "model: {beta: ${params.beta}}\n",
    "ending.yml": DIGITS_HEAD,
    "marked.yaml": "\ufeff" + DIGITS_HEAD,
    "packaged.yaml": "# @package global\ndefaults: [DIGITS_VAE, _self_]\n",
    "listing.yaml": DIGITS_HEAD + "evaluation: [accuracy]\n",
    "named.yaml": DIGITS_HEAD + "model: VAE\n",
    "callback_name.yaml": DIGITS_HEAD + "callbacks: [early_stopping]\n",
    "trainer_text.yaml": DIGITS_HEAD + "trainer: max_epochs=5\n",
    "evaluator.yaml": DIGITS_HEAD + "evaluation: {mine: {_target_: frame_eval.LossEvaluation, evaluate_on: valid}}\n",
    "network.yaml": DIGITS_HEAD + "model: ${architectures.encoder}\n",
    "target.yaml": DIGITS_HEAD + "model: {target: own_modules.Unpacks}\n",
    "unpacks.yaml": OWN_HEAD + OWN_KEYS + "model: {_target_: own_modules.Unpacks}\n",
    "renames.yaml": OWN_HEAD + OWN_KEYS + "model: {_target_: own_modules.Renames}\n",
    "forgets.yaml": OWN_HEAD + OWN_KEYS + "model: {_target_: own_modules.ForgetsIndex}\n",
    "endless.yaml": OWN_HEAD.replace("/data: Digits, ", "") + OWN_KEYS + "model: {_target_: own_modules.Unpacks}\n"
    "data: {train: {_target_: own_modules.Endless}}\n",
}
"""Files that a user's own experiments consist of, by their names."""

OWN_MODULES = """
import torch
from frame_core import Model
from pytorch_lightning import LightningModule

class Linear(Model):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(64, 1)

class Unpacks(Linear):
    def compute_loss(self, data, data_idx):
        x, y = data
        return {"loss": self.layer(x.flatten(1)).mean()}

class Renames(Linear):
    def compute_loss(self, data, data_idx):
        return {"loss": self.layer(data["image"].flatten(1)).mean()}

class ForgetsIndex(Linear):
    def compute_loss(self, data):
        return {"loss": self.layer(data["x"].flatten(1)).mean()}

class Endless:
    def __getitem__(self, index):
        return {"x": torch.zeros(64)}

class Bare(LightningModule):
    def __init__(self, **arguments):
        super().__init__()

class Base:
    __module__ = "lightning.pytorch.core.module"
    def __init__(self, **arguments): ...

class OfAnotherPackage(Base): ...
"""

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
    ([DIGITS, "trainer.devices=[]"], ["`trainer.devices` must be", "a list of different devices", "[]"]),
    ([DIGITS, "trainer.devices=[0,0]"], ["`trainer.devices` must be", "a list of different devices", "[0, 0]"]),
    ([DIGITS, "trainer.devices='0,0'"], ["`trainer.devices` must be", "a list of different devices", "'0,0'"]),
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
    (
        [DIGITS, "trainer.strategy=fsdp"],
        ["`trainer.strategy` must be one of 'auto'", "got 'fsdp'", "`frame_train.optimization.ShardedStrategy`"],
    ),
    ([DIGITS, "trainer.strategy=dpp"], ["`trainer.strategy` must be one of 'auto', 'ddp'", "got 'dpp'"]),
    ([DIGITS, "trainer.num_nodes=2", "trainer.accelerator=cpu"], ["`trainer.num_nodes`", "`torchrun --nnodes"]),
    ([DIGITS, "callbacks=null"], ["`callbacks=null`", "`~callbacks.NAME`"]),
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
    # Words that are not overrides
    (["MNIST_VAE"], ["`MNIST_VAE` must be `key=value`", "Did you mean `+experiment=MNIST_VAE`?"]),
    (["digits_vae"], ["Did you mean `+experiment=DIGITS_VAE`?"]),
    (["help"], ["Did you mean `--help`?"]),
    (["list"], ["Did you mean `--list`?"]),
    (["check", DIGITS], ["Did you mean `--check`?"]),
    (["config/experiment/MNIST_VAE.yaml"], ["Did you mean `+experiment=MNIST_VAE`?"]),
    (["my/experiment/misspelt.yaml"], ["Did you mean `--config-dir=my +experiment=misspelt`?"]),
    (["experiment", "MNIST_VAE"], ["Did you mean `experiment=MNIST_VAE`?"]),
    ([DIGITS, "params.beta", "0.1"], ["Did you mean `params.beta=0.1`?"]),
    ([DIGITS, "params.beta:0.1"], ["Did you mean `params.beta=0.1`?"]),
    ([DIGITS, "params.beta", "=", "0.1"], ["`params.beta = 0.1`: write no spaces", "`params.beta=0.1`"]),
    ([DIGITS, "params.beta", "=0.1"], ["write no spaces around `=`: `params.beta=0.1`"]),
    ([DIGITS, "params.beta=", "0.1"], ["write no spaces around `=`: `params.beta=0.1`"]),
    ([DIGITS, "\u2014params.beta=0.1"], ["is not a minus sign. Write `params.beta=0.1`"]),
    (["\u2212\u2212check", DIGITS], ["is not a minus sign. Write `--check`"]),
    (["\u2013m", DIGITS], ["is not a minus sign. Write `-m`"]),
    ([DIGITS, "params.beta=\u22121"], ["is not a minus sign. Write `params.beta=-1`"]),
    ([DIGITS, "params.encoder_layers=[256,", "128]"], ["must be in quotes", "`'params.encoder_layers=[256, 128]'`"]),
    ([DIGITS, "params={beta:", "2}"], ["must be in quotes. Write `'params={beta: 2}'`"]),
    # What to train
    (["+experiment=DIGITS_VAE,DIGITS_Classifier"], ["has several values. Add `-m` to run a grid.\n"]),
    (["+experiments=MNIST_VAE"], ["There is no group `experiments`", "`+experiment=MNIST_VAE`?"]),
    (["experiment=mnist_vae"], ["has no option `mnist_vae`", "Did you mean `MNIST_VAE`?"]),
    (["++experiment=nope"], ["`experiment` has no option `nope`", "MNIST_VAE", "`--config-dir FOLDER` adds your own."]),
    ([DIGITS, "callbacks/checkpoint@callbacks=[last,bst]"], ["has no option `bst`; it has best, last, periodic"]),
    ([DIGITS, "~evaluation"], ["`~evaluation`: several options", "`~evaluation.reconstructions`"]),
    ([DIGITS, "~callbacks"], ["`~callbacks`: several options", "`~callbacks.progress_bar`"]),
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
    (["--resume", "X"], ["There is no flag `--resume`", "did you mean `resume=X`?"]),
    (["--experiment", "MNIST_VAE"], ["There is no flag `--experiment`", "did you mean `+experiment=MNIST_VAE`?"]),
    (["--experiment=MNIST_VAE"], ["did you mean `+experiment=MNIST_VAE`?"]),
    (["--config-name=MNIST_VAE"], ["`--config-name` can't be set", "`+experiment=MNIST_VAE`"]),
    ([DIGITS, "--lr", "0.1"], ["did you mean `params.lr=0.1`?"]),
    ([DIGITS, "--batch-size=32"], ["did you mean `params.batch_size=32`?"]),
    ([DIGITS, "--seed", "3"], ["did you mean `seed=3`?"]),
    ([DIGITS, "--max_epochs=3"], ["did you mean `trainer.max_epochs=3`?"]),
    ([DIGITS, "--params.beta=0.1"], ["Keys have no dashes: did you mean `params.beta=0.1`?"]),
    (["--multirun=3", DIGITS], ["`--multirun/-m`: takes no value, got '3'"]),
    (["--cfg", DIGITS], ["`--cfg/-c`: expected one argument"]),
    (["--cfg", "jobs", DIGITS], ["`--cfg/-c`: invalid choice: 'jobs'"]),
    (["--copy", "DIGITS_VAE"], ["`--copy`: expected 2 arguments"]),
    # Resuming
    (["resume=true"], ["`resume` must be a run directory", "got 'true'", "`resume=auto`"]),
    (["resume=Auto"], ["`resume` must be a run directory", "got 'Auto'", "`resume=auto`"]),
    (["resume="], ["`resume` must be a run directory", "got ''"]),
    (["resume=nowhere"], ["`resume`: There is no run 'nowhere'"]),
    (["--check", "resume=nowhere"], ["`--check` checks the config of a new run, and `resume=nowhere` continues"]),
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
    (
        [DIGITS, "params.encoder_layers=[0]"],
        ["`layers[0]` must be positive, got 0", "comes from `params.encoder_layers`"],
    ),
    (
        [DIGITS, "+optimization.augmentation={_target_:frame_train.data.RandomShift,n_pixels:100}"],
        ["`n_pixels` must be less than the 8 pixels of an image, got 100"],
    ),
    ([DIGITS, "callbacks.progress_bar.refresh_every=-1"], ["`refresh_every` must be non-negative, got -1"]),
    (
        [DIGITS, "model._target_=raises.Thing"],
        ["`raises` can't be imported", "raises.py, line 1: RuntimeError: no board"],
    ),
    ([DIGITS, "-m", "params.beta=0.1,abc"], ["`model.beta` must be of type float or Schedule", "got 'abc'"]),
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
    (
        [DIGITS, "optimization={_target_: own_modules.Bare}"],
        ["with `model` and `data`, and `Bare` has no `self.model` and no `self.data`", "from_lightning.md"],
    ),
    (
        [DIGITS, "optimization={_target_: own_modules.OfAnotherPackage}"],
        ["`OfAnotherPackage` derives from that of the package `lightning`. Import it from `pytorch_lightning`"],
    ),
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
    (["--config-dir=my", "+experiment=homeless"], ["`experiment=homeless`", "`# @package _global_`"]),
    (["--config-dir=my", "+experiment=circular"], ["An option lists itself in its `defaults`", "+experiment=circular"]),
    (
        ["--config-dir=my", "+experiment=unordered"],
        ["verride", "/evaluation: [loss]" if IS_HYDRA_1_3 else "Move it to the end"],
    ),
    (["--config-dir=my", "+experiment=disordered"], ["'model : GAN' is defined before 'evaluation: loss'. Move it"]),
    (["--config-dir=my", "+experiment=groupless"], ["There is no group `dta`. Did you mean `data`?", "groupless.yaml"]),
    (["--config-dir=my", "+experiment=optionless"], ["`confusion_matix`", "`confusion_matrix`?", "optionless.yaml"]),
    (["--config-dir=my", "+experiment=relative"], ["Write `/optimization: batch_ADAM`, with a slash", "relative.yaml"]),
    (["--config-dir=my", "+experiment=twice"], ["`data` is set twice", "`override /data: …`"]),
    (["--config-dir=my", "+experiment=overriding"], ["Write `override /optimization`"]),
    (["--config-dir=my", "+experiment=empty"], ["empty.yaml' must be a mapping that sets `optimization`"]),
    (["--config-dir=my", "+experiment=sequence"], ["sequence.yaml' must be a mapping that sets `optimization`"]),
    (["--config-dir=my/experiment", "+experiment=empty"], ["is a group. Write `--config-dir=my`"]),
    # A user's own files
    (["--config-dir=my", "+experiment=tabs"], ['tabs.yaml", line 4', "Indent with spaces, not with a tab."]),
    (
        ["--config-dir=my", "+experiment=unquoted"],
        ["line 3", 'write a reference in quotes: `{beta: "${params.beta}"}`'],
    ),
    (["--config-dir=my", "+experiment=ending"], ["ending.yml' must end with `.yaml`. Rename it to 'ending.yaml'."]),
    (["--config-dir=my", "+experiment=marked"], ["marked.yaml' begins with an invisible byte order mark"]),
    (
        ["--config-dir=my", "+experiment=packaged"],
        ["packaged.yaml' must be `# @package _global_`, got '# @package glo"],
    ),
    (["--config-dir=latin", "+experiment=latin"], ["latin.yaml' must be UTF-8 text"]),
    (["--config-dir=my/experiment/tabs.yaml"], ["got the file", "Write `--config-dir=my +experiment=tabs`."]),
    (["--config-path=my", "+experiment=misspelt"], ["`--config-path` can't be set. `--config-dir=my` adds a folder"]),
    (["--config-dir=my", "+experiment=my/experiment/misspelt"], ["not a path. Write `+experiment=misspelt`."]),
    (
        ["--config-dir=my", "+experiment=listing"],
        ["`evaluation`", "write `/evaluation: [accuracy]` in `defaults`", "listing"],
    ),
    (["--config-dir=my", "+experiment=named"], ["got 'VAE'. To choose an option, write `/model: VAE` in `defaults`."]),
    (
        ["--config-dir=my", "+experiment=callback_name"],
        ["got 'early_stopping'", "write `/callbacks: [early_stopping]`"],
    ),
    (
        ["--config-dir=my", "+experiment=trainer_text"],
        ["`trainer` must be a mapping", "such as `trainer.accelerator=gpu`"],
    ),
    (["--config-dir=my", "+experiment=evaluator"], ["Make it the `evaluator` of a `frame_train.callbacks.Evaluation"]),
    (
        ["--config-dir=my", "+experiment=network"],
        ["must have a method `compute_loss(data, data_idx)`, and `Encoder` has"],
    ),
    (["--config-dir=my", "+experiment=target"], ["has no argument `target`. Did you mean `_target_`?"]),
    (["--config-dir=my", "+experiment=unpacks"], ["A batch is a dictionary with 'x', 'y'."]),
    (["--config-dir=my", "+experiment=renames"], ["KeyError: 'image'", "A batch is a dictionary with 'x', 'y'."]),
    (["--config-dir=my", "+experiment=forgets"], ["It is called as `compute_loss(data, data_idx)`."]),
    (["--config-dir=my", "+experiment=endless"], ["Split 'train' of `data` must have a length", "`Endless`"]),
    ([DIGITS, "model._target_=my/blocks.Net"], ["got 'my/blocks.Net'. Write `my.blocks.Net`."]),
    ([DIGITS, "model._target_=blocks.py"], ["must name a module and a class in it", "Write `blocks.CLASS`."]),
    ([DIGITS, "model._target_=Net"], ["must name a module and a class in it", "Write `MODULE.Net`."]),
    # Words of other programs
    ([DIGITS, "logger=wandb"], ["To choose a logger, write `logging=wandb`"]),
    ([DIGITS, "trainer=gpu", "trainer.max_steps=1"], ["`trainer` must be a mapping", "`trainer.accelerator=gpu`"]),
    ([DIGITS, "ckpt_path=x.ckpt"], ["no key `ckpt_path`. Did you mean `resume=RUN`?"]),
    ([DIGITS, "epochs=3"], ["no key `epochs`. Did you mean `trainer.max_epochs`?"]),
    ([DIGITS, "task_name=x"], ["no key `task_name`. Did you mean `run.name`?"]),
    ([DIGITS, "evaluation+=loss"], ["Write `+evaluation=loss`"]),
    ([DIGITS, "params.lr=0,001"], ["`-m`", "or a decimal point as `params.lr=0.001`"]),
    ([DIGITS, " "], ["` ` is not an argument. Remove the space after `\\` at the end of a line."]),
    (["--schema", "--config-dir=nowhere"], ["`--config-dir` must be a folder, but 'nowhere' was not found."]),
    # Durations, intervals and devices
    ([DIGITS, "evaluation.samples.evaluate_every=3"], ["'60 seconds'", "got 3"]),
    ([DIGITS, "evaluation.samples.evaluate_every='-3 epochs'"], ["`evaluation.samples`", "'-3 epochs'"]),
    ([DIGITS, "evaluation.samples.evaluate_every='3 generator_steps'"], ["'3 generator_steps'", "iterations"]),
    ([DIGITS, "train_for=long"], ["`train_for`", "'60 seconds'", "'long'"]),
    (
        [DIGITS, "trainer.accelerator=gpu"],
        ["`trainer.accelerator`: 'gpu' is not available on this machine", "`device=default`"],
    ),
    ([DIGITS, "train_for=3 foo"], ["`train_for`: The unit", "minutes", "got '3 foo'"]),
    ([DIGITS, "trainer.accelerator=GPU"], ["`trainer.accelerator` must be one of 'auto'", "Did you mean `gpu`?"]),
    ([DIGITS, "trainer.devices=two"], ["`trainer.devices` must be a positive number", "got 'two'", "the command line"]),
    (
        [DIGITS, "device.experiments_root=$HOME/x"],
        ["`device.experiments_root` must be a path without `$`", "oc.env:HOME"],
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
    "resume=",
    "endless",  # its data set is not built
)
"""Arguments that only that machine can check, or that are not part of a config."""


@pytest.fixture(autouse=True)
def user_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write experiments and a module of the user that are wrong in themselves."""
    monkeypatch.syspath_prepend(tmp_path / "my")
    (tmp_path / "my" / "experiment").mkdir(parents=True)
    for name, text in USER_EXPERIMENTS.items():
        head = "# @package _global_\ndefaults: [DIGITS_VAE, _self_]\n"
        (tmp_path / "my" / "experiment" / f"{name}.yaml").write_text(head + text)
    for name, defaults in DEFAULTS.items():
        text = f"# @package _global_\ndefaults: {defaults}\n"
        (tmp_path / "my" / "experiment" / f"{name}.yaml").write_text(text)
    (tmp_path / "my" / "experiment" / "empty.yaml").write_text("")
    (tmp_path / "my" / "experiment" / "sequence.yaml").write_text("- a\n- b\n")
    (tmp_path / "my" / "raises.py").write_text("raise RuntimeError('no board')\n")
    (tmp_path / "my" / "own_modules.py").write_text(OWN_MODULES)
    for name, text in OWN_FILES.items():
        (tmp_path / "my" / "experiment" / name).write_text(text)
    (tmp_path / "latin" / "experiment").mkdir(parents=True)
    (tmp_path / "latin" / "experiment" / "latin.yaml").write_bytes(f"{DIGITS_HEAD}# Größe\n".encode("latin-1"))
    (tmp_path / "my" / "experiment" / "homeless.yaml").write_text("defaults: [DIGITS_VAE, override /model: GAN]\n")
    (tmp_path / "my" / "experiment" / "nowhere.yaml").write_text("defaults: [DIGITS_VAE]\nparams: {z_dim: 3}\n")


@pytest.mark.parametrize(
    ("arguments", "messages"),
    [
        pytest.param(*mistake, id=name, marks=pytest.mark.slow if index % 2 else [])  # each section has both
        for index, (mistake, name) in enumerate(zip(MISTAKES, NAMES))
    ],
)
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
    assert sorted(path.name for path in tmp_path.iterdir()) == ["latin", "my"]


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
    assert sorted(path.name for path in tmp_path.iterdir()) == ["latin", "my"]


def test_there_are_at_least_sixty_different_mistakes() -> None:
    assert len({" ".join(arguments) for arguments, _ in MISTAKES}) == len(MISTAKES) >= 60


def test_settings_that_are_rarely_meant_get_a_notice(
    train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpuinfo").write_text("flags\t\t: fpu avx2\n")
    monkeypatch.setattr(notices, "_CPU", tmp_path / "cpuinfo")
    settings = ["+prior=mixture", "params.batch_size=100000", "trainer.max_epochs=0", "trainer.precision=bf16-mixed"]
    settings += ["callbacks=lr_monitor"]
    result = train("logging=none", DIGITS, *settings)
    assert result.code == 0
    assert result.errors.splitlines() == [
        "`callbacks=lr_monitor` replaces the progress bar and the training log. `+callbacks=lr_monitor` keeps them.",
        "`+prior=mixture` has no effect: nothing refers to `prior`. Did you mean `+architectures/prior=mixture`?",
        "`trainer.max_epochs=0`: nothing will be trained.",
        "`optimization.batch_size=100000` is more than the 1297 examples: an epoch has one step.",
        "`trainer.precision=bf16-mixed`: this CPU has no units for bfloat16, so 32-true is faster.",
    ]


def test_a_text_needs_no_quotes_beside_those_of_the_shell(train: Train) -> None:
    settings = ["run.name=\u00e4\u65e5\u672c", "run.project=my project!", "device.data_root=~/data", "train_for=1h"]
    result = train("--check", DIGITS, *settings)
    assert result.code == 0
    assert "no mistakes" in result.output


def test_all_loggers_can_be_removed(train: Train) -> None:
    assert train("--check", DIGITS, "~logger").code == 0


def test_a_profiler_prints_its_table(train: Train, caplog: pytest.LogCaptureFixture) -> None:
    result = train("logging=none", DIGITS, "trainer.max_steps=1", "trainer.profiler=simple")
    assert result.code == 0
    assert "FIT Profiler Report" in caplog.text


def test_an_early_failure_is_not_preceded_by_notices_on_checkpoints(train: Train) -> None:
    result = train("logging=none", DIGITS, "params.lr=1e30", "trainer.max_epochs=3")
    assert result.code == 1
    assert "The loss is not finite" in result.errors
    assert "no number was logged" not in result.errors


def test_with_the_traceback_a_mistake_keeps_its_message_and_exit_code(train: Train) -> None:
    result = train(DIGITS, "params.beat=1", "--traceback")
    assert result.code == 2
    assert "Traceback" in result.errors
    assert "Did you mean `params.beta`?" in result.errors.splitlines()[-1]


def test_the_version_of_each_central_library_is_printed(train: Train) -> None:
    lines = train("--version").output.splitlines()
    assert [line.partition(" ")[0] for line in lines] == ["frame-train", "hydra-core", "pytorch-lightning", "torch"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "`nowhere` must be `key=value`. Did you mean `run=nowhere`?"),
        (["--dif", "a", "b"], "There is no flag `--dif`. Did you mean `--diff`?"),
        (["--weights", "best"], "There is no flag `--weights`. Keys have no dashes: did you mean `weights=best`?"),
        (["run", "=", "x"], "`run = x`: write no spaces around `=`: `run=x`."),
        (["run=nowhere", "weights=best,last", "-m"], "`evaluate` has no grids (`-m`)"),
    ],
)
def test_mistakes_in_the_command_evaluate_are_reported_in_one_line(
    evaluate: Train, tmp_path: Path, arguments: list[str], message: str
) -> None:
    result = evaluate(*arguments)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["latin", "my"]
    assert result.code == 2
    assert message in result.errors
    assert len(result.errors.splitlines()) == 1


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
