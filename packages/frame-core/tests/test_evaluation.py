import random
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from frame_core import (
    SCALAR_ENTRY,
    Evaluation,
    GenerativeModel,
    LogEntry,
    Model,
    Optimization,
    check_requirements,
    run_evaluation,
)
from frame_core.testing import TinyModel, TinyOptimization, make_tiny_data

try:
    import numpy
except ImportError:  # core works without it
    numpy = None

GPU = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None


class Noise(Evaluation):
    """Draws from every random number generator, then fails if ``fails`` is set."""

    def __init__(self, fails: bool = False) -> None:
        self.fails = fails

    def evaluate(self, optimization: Optimization) -> LogEntry:
        assert not any(module.training for module in optimization.model.modules())
        assert not torch.is_grad_enabled()
        if self.fails:
            draw()
            raise RuntimeError("broken evaluation")
        return LogEntry(SCALAR_ENTRY, draw())


class LossOnly(Model):
    def compute_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        return {"loss": torch.zeros((), requires_grad=True)}


class Samples(Evaluation):
    requires = GenerativeModel

    def evaluate(self, optimization: Optimization) -> LogEntry:
        raise AssertionError("an evaluation was run on a model that lacks its capability")


def draw() -> float:
    """Return a number that depends on every random state."""
    parts = [random.random(), torch.rand(()).item(), numpy.random.rand() if numpy else 0.0]
    return sum(parts) + (torch.rand((), device=GPU).item() if GPU else 0.0)


def run(fails: bool, optimization: Optimization) -> None:
    if fails:
        with pytest.raises(RuntimeError, match="broken evaluation"):
            run_evaluation(Noise(fails), optimization)
    else:
        run_evaluation(Noise(fails), optimization)


def next_python() -> object:
    return random.random()


def next_torch() -> object:
    return torch.rand(3).tolist()


def next_numpy() -> object:
    return pytest.importorskip("numpy").random.rand()


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("next_number", [next_python, next_torch, next_numpy])
def test_random_numbers_continue_as_if_nothing_was_evaluated(fails: bool, next_number: Callable[[], object]) -> None:
    optimization = TinyOptimization()
    numbers = []
    for evaluates in (False, True):
        seed_everything(1)
        next_number()
        if evaluates:
            run(fails, optimization)
        numbers.append(next_number())
    assert numbers[0] == numbers[1]


@pytest.mark.gpu
@pytest.mark.parametrize("fails", [False, True])
def test_random_numbers_of_an_accelerator_continue_as_if_nothing_was_evaluated(fails: bool) -> None:
    numbers = []
    for evaluates in (False, True):
        torch.manual_seed(1)
        if evaluates:
            run(fails, TinyOptimization())
        numbers.append(torch.rand((), device=GPU).item())
    assert numbers[0] == numbers[1]


def seed_everything(seed: int) -> None:
    random.seed(seed)
    torch.manual_seed(seed)
    if numpy:
        numpy.random.seed(seed)


def test_the_result_does_not_depend_on_the_random_states_before() -> None:
    entries = []
    for seed in range(3):
        seed_everything(seed)
        entries.append(run_evaluation(Noise(), TinyOptimization()).value)
    assert entries[0] == entries[1] == entries[2]


def test_the_result_is_the_same_twice() -> None:
    optimization = TinyOptimization()
    assert run_evaluation(Noise(), optimization).value == run_evaluation(Noise(), optimization).value


@pytest.mark.parametrize("fails", [False, True])
def test_each_part_of_the_model_keeps_its_own_mode(fails: bool) -> None:
    model = TinyModel().train()
    model.add_module("parts", nn.ModuleList([nn.Dropout().eval(), nn.Sequential(nn.Dropout().eval(), nn.Dropout())]))
    modes = {name: module.training for name, module in model.named_modules()}
    assert set(modes.values()) == {False, True}
    run(fails, TinyOptimization(model))
    assert {name: module.training for name, module in model.named_modules()} == modes


@pytest.mark.parametrize("fails", [False, True])
def test_gradients_and_grad_mode_are_unchanged(fails: bool) -> None:
    model = TinyModel()
    model.shift.grad = gradient = torch.ones_like(model.shift)
    run(fails, TinyOptimization(model))
    assert model.shift.grad is gradient
    assert gradient.eq(1).all()
    assert model.classifier.weight.grad is None
    assert torch.is_grad_enabled()


def test_training_ends_at_the_same_weights_with_and_without_evaluations() -> None:
    def train(evaluates: bool) -> Tensor:
        torch.manual_seed(0)
        model = TinyModel()
        optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
        for step in range(3):
            optimizer.zero_grad()
            model.compute_loss({"x": torch.rand(4, 1, 4, 4), "y": torch.randint(3, (4,))}, step)["loss"].backward()
            if evaluates:
                run_evaluation(Noise(), TinyOptimization(model))
            optimizer.step()
        return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])

    torch.testing.assert_close(train(evaluates=True), train(evaluates=False), rtol=0, atol=0)


def test_a_model_without_the_capability_is_refused_before_anything_runs() -> None:
    with pytest.raises(
        TypeError, match="`Samples` needs a `GenerativeModel`, and `LossOnly` is not one: it has no `sample`"
    ):
        run_evaluation(Samples(), TinyOptimization(LossOnly()))
    with pytest.raises(TypeError, match="`Samples` needs a `GenerativeModel`"):
        check_requirements(Samples(), TinyOptimization(LossOnly()))


def test_a_model_with_the_capability_passes() -> None:
    check_requirements(Samples(), TinyOptimization())
    check_requirements(Noise(), TinyOptimization(LossOnly()))


def test_a_missing_or_empty_split_is_refused_before_anything_runs() -> None:
    class OnTest(Noise):
        evaluate_on = "test"

    with pytest.raises(ValueError, match="`data` has no split 'test'; it has 'train', 'valid'"):
        check_requirements(OnTest(), TinyOptimization())
    with pytest.raises(ValueError, match="Split 'test' of `data` is empty"):
        run_evaluation(OnTest(), TinyOptimization(data={"test": []}))
    check_requirements(OnTest(), TinyOptimization(data={"test": make_tiny_data()}))


def test_the_check_of_an_evaluation_runs_first_and_leaves_no_trace() -> None:
    class Demanding(Noise):
        def check(self, optimization: Optimization) -> None:
            draw()
            raise ValueError("more, please")

    optimization = TinyOptimization()
    seed_everything(1)
    expected = draw()
    seed_everything(1)
    for check in (check_requirements, run_evaluation):
        with pytest.raises(ValueError, match="more, please"):
            check(Demanding(), optimization)
    assert draw() == expected


@pytest.mark.parametrize("result", [None, 1.5, {"data_type": "scalar", "value": 1.0}])
def test_a_result_that_is_not_an_entry_is_refused(result: Any) -> None:
    class Wrong(Evaluation):
        def evaluate(self, optimization: Optimization) -> LogEntry:
            return result

    with pytest.raises(TypeError, match=r"`Wrong\.evaluate` must return a `LogEntry`, got"):
        run_evaluation(Wrong(), TinyOptimization())


def test_an_evaluation_is_abstract() -> None:
    assert Evaluation.__abstractmethods__ == {"evaluate"}
