from collections.abc import Callable, Mapping
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from pytorch_lightning import Callback
from torch import Tensor, nn
from torch.utils.data import default_collate

from frame_core import (
    AdversarialModel,
    JointModel,
    LinearWarmup,
    Model,
    Optimization,
    SizedDataset,
    check_requirements,
    seed_generators,
)
from frame_core.testing import TinyModel, check_evaluation, check_model, make_tiny_data
from frame_eval import ELBOEvaluation, ImageSampleEvaluation, LinearProbeEvaluation, PartEvaluation
from frame_train.callbacks import ProgressBar
from frame_train.data.seeding import derive_seed
from frame_train.optimization import (
    AdamBatchOptimization,
    AdversarialOptimization,
    BatchOptimization,
    OptimizationModule,
)
from trainers import fit, ignore_lightning_warnings, make_tiny_optimization, make_tiny_split, make_trainer

pytestmark = ignore_lightning_warnings
SGD = partial(torch.optim.SGD, lr=0.01)


class TinyAdversary(AdversarialModel):
    """Generates by a linear map of noise, and discriminates by a weighted sum of pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.generator = nn.Linear(2, 16)
        self.discriminator = nn.Linear(16, 1)
        self.scale = nn.Parameter(torch.ones(()))  # trained with the generator

    def compute_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        generator, discriminator = self.compute_generator_loss(data, data_idx), self.compute_discriminator_loss(data, 0)
        return {"loss": generator["loss"] + discriminator["loss"]}

    def compute_generator_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        weight, bias = self.discriminator.weight.detach(), self.discriminator.bias.detach()
        score = nn.functional.linear(self.sample(torch.Size([len(data["x"])])).flatten(1), weight, bias)
        return {"loss": -score.mean()}

    def compute_discriminator_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        fake = self.sample(torch.Size([len(data["x"])])).flatten(1).detach()
        score = self.discriminator(fake).mean() - self.discriminator(data["x"].flatten(1)).mean()
        return {"loss": score, "score": score.detach()}

    def sample(self, sample_shape: torch.Size = torch.Size([]), sample_output: bool = False) -> Tensor:
        return (self.scale * self.generator(torch.randn(*sample_shape, 2))).unflatten(-1, (1, 4, 4))


class SharedParts(TinyModel):
    """A tiny model with a given shift."""

    def __init__(self, shift: nn.Parameter) -> None:
        super().__init__()
        self.shift = shift


class Warmed(TinyModel):
    """A tiny model with a schedule."""

    def __init__(self, over: str) -> None:
        super().__init__()
        self.beta = LinearWarmup(start=0.0, end=1.0, over=over)
        self.seen: list[float] = []

    def compute_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        self.seen.append(self.beta().item())
        return super().compute_loss(data, data_idx)


def make_data() -> dict[str, SizedDataset]:
    return {"train": make_tiny_split(25), "valid": make_tiny_data(7)}


def make_arguments(**options: Any) -> dict[str, Any]:
    torch.manual_seed(0)
    return {"model": TinyModel(), "data": make_data(), "num_workers": 0, "batch_size": 10, **options}


def make_optimization(**options: Any) -> AdamBatchOptimization:
    return AdamBatchOptimization(**make_arguments(**{"lr": 0.01, **options}))


def make_adversarial(**options: Any) -> AdversarialOptimization:
    optimizers = {"generator_optimizer": SGD, "discriminator_optimizer": SGD}
    return AdversarialOptimization(**make_arguments(**{"model": TinyAdversary(), **optimizers, **options}))


def make_joint() -> BatchOptimization:
    torch.manual_seed(0)
    shift = nn.Parameter(torch.full((1, 4, 4), 0.5))
    models = {"one": SharedParts(shift), "two": SharedParts(shift)}
    return BatchOptimization(JointModel(models), make_data(), num_workers=0, batch_size=10, optimizer=SGD)


def train_by_hand(model: Model, optimizer: torch.optim.Optimizer, n_epochs: int) -> None:
    loader = make_optimization().train_dataloader()
    for epoch in range(n_epochs):
        loader.sampler.set_epoch(epoch)
        for index, batch in enumerate(loader):
            optimizer.zero_grad()
            model.compute_loss(batch, index)["loss"].backward()
            optimizer.step()


def assert_equal(model: nn.Module, expected: nn.Module) -> None:
    for name, value in expected.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], value)


def test_training_is_adam_on_the_loss_of_each_batch() -> None:
    optimization = make_optimization()
    model = deepcopy(optimization.model)
    torch.manual_seed(1)
    make_trainer(max_epochs=2).fit(optimization)
    torch.manual_seed(1)
    train_by_hand(model, torch.optim.Adam(model.parameters(), lr=0.01, fused=True), 2)
    assert_equal(optimization.model, model)
    assert optimization.counters == {"iteration": 6}


def test_any_optimizer_of_torch_is_accepted() -> None:
    optimization = BatchOptimization(**make_arguments(optimizer=SGD))
    model = deepcopy(optimization.model)
    torch.manual_seed(1)
    make_trainer(max_epochs=2).fit(optimization)
    torch.manual_seed(1)
    train_by_hand(model, SGD(model.parameters()), 2)
    assert_equal(optimization.model, model)


@pytest.mark.parametrize(("interval", "expected"), [("epoch", 0.01 * 0.5**2), ("step", 0.01 * 0.5**6)])
def test_a_scheduler_changes_the_learning_rate(interval: Any, expected: float) -> None:
    halve = partial(torch.optim.lr_scheduler.ExponentialLR, gamma=0.5)
    optimization = BatchOptimization(**make_arguments(optimizer=SGD, scheduler=halve, scheduler_interval=interval))
    trainer = make_trainer(max_epochs=2)
    trainer.fit(optimization)
    assert trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(expected)


@pytest.mark.parametrize(("interval", "n_watched"), [("epoch", 2), ("step", 6)])
def test_a_plateau_scheduler_receives_the_training_loss(interval: Any, n_watched: int) -> None:
    watched: list[float] = []

    class Plateau(torch.optim.lr_scheduler.ReduceLROnPlateau):
        def step(self, metrics: Any, epoch: int | None = None) -> None:
            watched.append(float(metrics))
            super().step(metrics, epoch)

    losses: list[tuple[int, float]] = []

    class Recorder(Callback):
        def on_train_batch_end(self, *arguments: Any) -> None:
            losses.append((len(arguments[3]["x"]), arguments[2]["loss"].item()))

    scheduler = partial(Plateau, factor=0.5, patience=0, threshold=1e9)  # no loss improves by so much
    optimization = BatchOptimization(**make_arguments(optimizer=SGD, scheduler=scheduler, scheduler_interval=interval))
    trainer = make_trainer(Recorder(), max_epochs=2)
    trainer.fit(optimization)
    epochs = [losses[:3], losses[3:]]
    means = [sum(n * loss for n, loss in epoch) / 25 for epoch in epochs]
    assert watched == pytest.approx(means if interval == "epoch" else [loss for _, loss in losses])
    assert len(watched) == n_watched
    assert trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(0.01 * 0.5**n_watched)


def test_an_optimizer_that_computes_the_loss_several_times_counts_one_iteration(tmp_path: Path) -> None:
    model = Warmed("4 iterations")
    lbfgs = partial(torch.optim.LBFGS, lr=0.1, max_iter=4)
    optimization = BatchOptimization(**make_arguments(model=model, optimizer=lbfgs))
    trainer = make_trainer(max_epochs=2, max_steps=5)
    trainer.fit(optimization)
    assert trainer.global_step == 5
    assert optimization.counters == {"iteration": 5}
    assert len(model.seen) > 5
    assert sorted(set(model.seen)) == [0, 0.25, 0.5, 0.75, 1]
    trainer.save_checkpoint(tmp_path / "a.ckpt")
    assert torch.load(tmp_path / "a.ckpt", weights_only=True)["counters"] == {"iteration": 5}


@pytest.mark.parametrize(
    ("options", "is_fused"),
    [
        ({"accumulate_grad_batches": 2}, True),
        ({"gradient_clip_val": 0.1}, True),
        ({"precision": "bf16-mixed"}, True),
        ({"precision": "bf16-mixed", "gradient_clip_val": 0.1}, False),
    ],
)
def test_trainer_options_work_and_adam_is_fused_where_possible(options: dict[str, Any], is_fused: bool) -> None:
    optimization = make_optimization()
    before = deepcopy(optimization.model)
    trainer = make_trainer(max_epochs=1, **options)
    trainer.fit(optimization)
    assert trainer.optimizers[0].defaults["fused"] == is_fused
    assert not torch.equal(optimization.model.shift, before.shift)


@pytest.mark.parametrize("make", [make_optimization, make_adversarial, make_joint])
def test_every_optimization_module_satisfies_the_contract(make: Callable[[], object]) -> None:
    optimization = make()
    assert isinstance(optimization, Optimization)
    assert optimization.counters["iteration"] == 0


@pytest.mark.parametrize("make", [make_optimization, make_adversarial, make_joint])
def test_an_overfitted_optimization_trains_on_the_first_examples_alone(
    make: Callable[[], OptimizationModule],
) -> None:
    optimization = make()
    n_batches = len(optimization.train_dataloader())
    optimization.overfit(1)
    assert len(optimization.train_dataloader()) == 1 < n_batches
    for wrong in (0.5, -1):
        with pytest.raises((TypeError, ValueError), match="`overfit_batches` must be"):
            optimization.overfit(cast(Any, wrong))


def test_counters_are_restored_from_a_checkpoint(tmp_path: Path) -> None:
    trainer = make_trainer(max_epochs=1)
    trainer.fit(make_adversarial(n_critic=2))
    trainer.save_checkpoint(tmp_path / "a.ckpt")
    resumed = make_adversarial(n_critic=2)
    make_trainer(max_epochs=2).fit(resumed, ckpt_path=tmp_path / "a.ckpt", weights_only=True)
    assert resumed.counters == {"iteration": 6, "discriminator_step": 6, "generator_step": 3}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "`batch_size` must be positive, got 0"),
        ({"batch_size": -5}, "`batch_size` must be positive, got -5"),
        ({"num_workers": -1}, "`num_workers` must be at least 0, got -1"),
        ({"steps_per_execution": 0}, "`steps_per_execution` must be positive, got 0"),
    ],
    ids=str,
)
def test_a_number_out_of_its_range_is_rejected(options: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_optimization(**options)


@pytest.mark.parametrize("lr", [0, -1.0, float("nan")])
def test_a_learning_rate_that_is_not_positive_is_refused(lr: float) -> None:
    with pytest.raises(ValueError, match="`lr` must be positive"):
        make_optimization(lr=lr)


def test_data_without_a_training_split_are_refused() -> None:
    with pytest.raises(ValueError, match="`data` has no split 'train'; it has 'valid'"):
        make_optimization(data={"valid": make_tiny_data()})
    with pytest.raises(ValueError, match="Split 'train' of `data` is empty"):
        make_optimization(data={"train": []})


def test_the_tiny_adversary_satisfies_the_contract_of_adversarial_models() -> None:
    check_model(TinyAdversary(), default_collate(make_tiny_data()))


@pytest.mark.parametrize(("n_critic", "n_generator_steps"), [(1, 6), (2, 3), (4, 1)])
def test_the_generator_steps_after_every_n_critic_steps_of_the_discriminator(
    n_critic: int, n_generator_steps: int
) -> None:
    optimization = make_adversarial(n_critic=n_critic)
    trainer = make_trainer(max_epochs=2)
    trainer.fit(optimization)
    assert optimization.counters == {"iteration": 6, "discriminator_step": 6, "generator_step": n_generator_steps}
    assert trainer.global_step == 6 + n_generator_steps


@pytest.mark.parametrize("max_steps", [1, 2, 5, 6, 7])
@pytest.mark.parametrize("n_critic", [1, 2, 5])
def test_the_progress_bar_ends_with_the_last_batch_of_adversarial_training(
    n_critic: int, max_steps: int, capsys: pytest.CaptureFixture[str]
) -> None:
    optimization = make_adversarial(n_critic=n_critic)
    make_trainer(ProgressBar(), max_epochs=-1, max_steps=max_steps).fit(optimization)
    n_batches = optimization.counters["iteration"]
    assert f"{n_batches}/{n_batches} " in capsys.readouterr().out


def test_adversarial_training_alternates_between_two_optimizers() -> None:
    optimization = make_adversarial(n_critic=2)
    model = deepcopy(optimization.model)
    torch.manual_seed(1)
    make_trainer(max_epochs=2).fit(optimization)

    torch.manual_seed(1)
    of_discriminator = SGD(model.discriminator.parameters())
    of_generator = SGD([*model.generator.parameters(), model.scale])
    loader = make_optimization().train_dataloader()
    torch.manual_seed(1)
    n_steps = 0
    for epoch in range(2):
        loader.sampler.set_epoch(epoch)
        for index, batch in enumerate(loader):
            seed_generators(derive_seed(loader.sampler.seed, "noise", 0, epoch, index))
            of_discriminator.zero_grad()
            model.compute_discriminator_loss(batch, index)["loss"].backward()
            of_discriminator.step()
            n_steps += 1
            if n_steps % 2 == 0:
                of_generator.zero_grad()
                model.compute_generator_loss(batch, index)["loss"].backward()
                of_generator.step()
    assert_equal(optimization.model, model)


def test_every_parameter_belongs_to_one_optimizer() -> None:
    optimization = make_adversarial()
    groups = [group["params"] for optimizer in optimization.configure_optimizers() for group in optimizer.param_groups]
    parameters = [id(parameter) for group in groups for parameter in group]
    assert sorted(parameters) == sorted(id(parameter) for parameter in optimization.model.parameters())


def test_a_model_that_is_not_adversarial_is_refused() -> None:
    with pytest.raises(TypeError, match="`model` must be an `AdversarialModel`, got a `TinyModel`"):
        make_adversarial(model=TinyModel())
    with pytest.raises(ValueError, match="`n_critic` must be positive, got 0"):
        make_adversarial(n_critic=0)


def test_a_shared_parameter_of_joint_models_is_trained_by_both() -> None:
    joint = make_joint()
    model, model_alone = joint.model, deepcopy(joint.model)
    assert isinstance(model, JointModel)
    torch.manual_seed(1)
    make_trainer(max_epochs=1).fit(joint)
    torch.manual_seed(1)
    train_by_hand(model_alone, SGD(model_alone.parameters()), 1)
    assert_equal(model, model_alone)
    assert model.models["one"].shift is model.models["two"].shift
    assert len(list(model.parameters())) == 5  # one shift, and a weight and a bias for each


def test_the_quantities_of_joint_models_are_prefixed_with_their_part() -> None:
    model = make_joint().model
    quantities = model.compute_loss(default_collate(make_tiny_data()), 0)
    torch.testing.assert_close(quantities["loss"], quantities["one_loss"] + quantities["two_loss"])
    assert "two_regularization" in quantities
    check_model(model, default_collate(make_tiny_data()))


def test_one_part_of_a_joint_model_can_be_evaluated() -> None:
    joint = make_joint()
    evaluation = PartEvaluation("two", ELBOEvaluation("valid"))
    entry = check_evaluation(evaluation, joint)
    x = torch.stack([example["x"] for example in make_tiny_data(7)])
    expected = joint.model.models["two"].log_evidence(x).mean().item()
    assert entry.value == pytest.approx(expected, rel=1e-5)


def test_an_unknown_part_and_one_without_the_capability_are_refused() -> None:
    with pytest.raises(ValueError, match="`part` must be one of 'one', 'two', got 'three'"):
        check_requirements(PartEvaluation("three", ELBOEvaluation("valid")), make_joint())
    with pytest.raises(ValueError, match="`data` has no split 'tset'"):
        check_requirements(PartEvaluation("one", LinearProbeEvaluation("valid", train_on="tset")), make_joint())
    with pytest.raises(TypeError, match="`PartEvaluation` needs a `JointModel`"):
        check_requirements(PartEvaluation("one", ELBOEvaluation("valid")), make_optimization())
    models = {"one": TinyModel(), "two": JointModel({"a": TinyModel(), "b": TinyModel()})}
    joint = BatchOptimization(JointModel(models), make_data(), num_workers=0, batch_size=10, optimizer=SGD)
    with pytest.raises(TypeError, match="`ImageSampleEvaluation` needs a `GenerativeModel`"):
        check_requirements(PartEvaluation("two", ImageSampleEvaluation()), joint)


@pytest.mark.parametrize(
    ("over", "expected"),
    [
        ("4 iterations", [0, 0.25, 0.5, 0.75, 1, 1]),
        ("2 epochs", [0, 1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6]),
        ("3 global_steps", [0, 1 / 3, 2 / 3, 1, 1, 1]),
    ],
)
def test_a_schedule_of_the_model_advances_with_the_training(over: str, expected: list[float]) -> None:
    model = Warmed(over)
    make_trainer(max_epochs=2).fit(make_optimization(model=model))
    assert model.seen == pytest.approx(expected, abs=1e-6)


def test_a_schedule_continues_after_a_resume(tmp_path: Path) -> None:
    trainer = make_trainer(max_epochs=1)
    trainer.fit(make_optimization(model=Warmed("10 iterations")))
    trainer.save_checkpoint(tmp_path / "a.ckpt")
    resumed = Warmed("10 iterations")
    make_trainer(max_epochs=2).fit(make_optimization(model=resumed), ckpt_path=tmp_path / "a.ckpt", weights_only=True)
    assert resumed.seen == pytest.approx([0.3, 0.4, 0.5], abs=1e-6)


def test_a_schedule_over_an_unknown_unit_is_refused_before_training() -> None:
    with pytest.raises(ValueError, match=r"`beta.over`: The unit of an interval must be .*, got '5 critic_steps'"):
        make_optimization(model=Warmed("5 critic_steps")).check()


def test_a_schedule_over_an_invalid_interval_is_refused_with_its_key() -> None:
    with pytest.raises(ValueError, match=r"`models.one.beta.over`: An interval must be .*, got 'soon'"):
        make_optimization(model=JointModel({"one": Warmed("soon"), "two": TinyModel()}))


@pytest.mark.parametrize(
    ("options", "n_steps"),
    [({"max_epochs": 4}, 12), ({"max_steps": 5}, 5), ({"max_epochs": 4, "max_steps": 6}, 6), ({"max_epochs": 3}, 9)],
    ids=str,
)
@pytest.mark.parametrize("steps_per_execution", [1, 2])
def test_a_schedule_over_the_training_ends_with_it(
    options: dict[str, int], n_steps: int, steps_per_execution: int
) -> None:
    model = Warmed("training")
    make_trainer(**options).fit(make_optimization(model=model, steps_per_execution=steps_per_execution))
    assert model.seen == pytest.approx([step / n_steps for step in range(n_steps)], abs=1e-6)


def test_a_schedule_over_a_training_without_an_end_is_reported_before_training() -> None:
    with pytest.raises(
        ValueError, match=r"`beta.over` is the length of training, which is unknown\. Set `trainer.max_"
    ):
        make_optimization(model=Warmed("training")).check_trainer(make_trainer(max_epochs=-1))


def test_accumulated_batches_take_the_steps_of_their_global_batch() -> None:
    make = partial(make_tiny_optimization, data={"train": make_tiny_split(48)})
    whole = fit(partial(make, batch_size=12), max_epochs=2)
    accumulated = fit(partial(make, batch_size=5, global_batch_size=12), max_epochs=2)
    assert (accumulated.accumulate_grad_batches, accumulated.global_step) == (3, whole.global_step)
    for one, other in zip(whole.lightning_module.parameters(), accumulated.lightning_module.parameters()):
        torch.testing.assert_close(one, other)
