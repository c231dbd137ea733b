from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from frame_core import SCALAR_ENTRY, Evaluation, EvaluationView, LogEntry, Model, Optimization, get_batch
from frame_core.testing import TinyModel
from frame_eval import FactorVAEScoreEvaluation, PrecisionRecallEvaluation
from frame_train.callbacks import EvaluationCallback
from frame_train.data import InMemoryDataset
from frame_train.experiment.dry_run import find_evaluation_problems, find_gradient_problems, find_loss_problems
from frame_train.experiment.parts import Parts
from trainers import make_tiny_split

RETURNED = {
    "a dictionary without `loss`": (lambda loss: {"los": loss}, "a dictionary with the tensor `loss`, got 'los'."),
    "an empty dictionary": (lambda loss: {}, "a dictionary with the tensor `loss`, got an empty one."),
    "None": (lambda loss: None, "a dictionary with the tensor `loss`, got None."),
    "a tensor": (lambda loss: loss, "a dictionary with the tensor `loss`, got a tensor of shape ()."),
    "a number": (lambda loss: {"loss": 0.5}, "a tensor with a gradient as `loss`, got 0.5 of type float."),
    "a loss of each example": (lambda loss: {"loss": loss.expand(2)}, "one number as `loss`, got shape (2,)."),
    "a detached loss": (lambda loss: {"loss": loss.detach()}, "`loss` without a gradient"),
    "a text": (lambda loss: {"loss": loss, "name": "x"}, "tensors and numbers, got str as 'name'."),
}


class OwnModel(Model):
    """Returns whatever a function makes of its loss."""

    def __init__(self, make: Callable[[torch.Tensor], Any]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self._make = make

    def compute_loss(self, data: Any, data_idx: int) -> Any:
        return self._make(self.weight.square())


def make_parts(make: Callable[[torch.Tensor], Any]) -> Parts:
    model = OwnModel(make)
    return Parts(subject=EvaluationView(model, {"train": make_tiny_split(4)}, {}), networks={model: "model"})


def make_evaluated_parts(evaluation: Evaluation) -> Parts:
    parts = make_parts(lambda loss: {"loss": loss})
    parts.callbacks = {"evaluation.mine": EvaluationCallback("Mine", "1 epoch", evaluation)}
    return parts


@pytest.mark.parametrize("find", [find_loss_problems, find_gradient_problems])
@pytest.mark.parametrize(("make", "message"), RETURNED.values(), ids=RETURNED)
def test_a_loss_that_breaks_the_contract_is_one_sentence_before_the_first_step(
    find: Any, make: Any, message: str
) -> None:
    (problem,) = find(make_parts(make))
    assert str(problem).startswith("`model`: `OwnModel.compute_loss` ")
    assert message in str(problem)
    assert problem.key == "model"


@pytest.mark.parametrize("find", [find_loss_problems, find_gradient_problems])
def test_numbers_beside_the_loss_are_accepted(find: Any) -> None:
    assert find(make_parts(lambda loss: {"loss": loss, "nll": loss.item(), "n": 3, "kl": loss.detach()})) == []


@dataclass
class Generated(Evaluation):
    """Records how many examples it would generate; it needs at least three."""

    n_samples: int = 10_000
    seen: list[int] = field(default_factory=list)

    def evaluate(self, optimization: Optimization) -> LogEntry:
        self.seen.append(self.n_samples)
        if self.n_samples < 3:
            raise ValueError("too few")
        return LogEntry(SCALAR_ENTRY, 0.0)


@dataclass(frozen=True, slots=True)
class Immutable(Evaluation):
    n_samples: int = 10_000
    seen: list[int] = field(default_factory=list)
    evaluate = Generated.evaluate


@pytest.mark.parametrize("make", [Generated, Immutable])
def test_an_evaluation_generates_few_examples_and_keeps_its_setting(make: type[Generated | Immutable]) -> None:
    evaluation = make()
    assert list(find_evaluation_problems(make_evaluated_parts(evaluation))) == []
    assert (evaluation.seen, evaluation.n_samples) == ([2, 100], 10_000)


@dataclass
class Separated(Evaluation):
    """Needs examples of two labels."""

    def evaluate(self, optimization: Optimization) -> LogEntry:
        split = optimization.data["train"]
        labels = get_batch(split, torch.arange(len(split)))["y"]
        if labels.unique().tolist() != [0, 1]:
            raise ValueError("there is one label")
        return LogEntry(SCALAR_ENTRY, 0.0)


def test_an_evaluation_that_needs_two_labels_is_run_on_sorted_data() -> None:
    parts = make_evaluated_parts(Separated())
    data = InMemoryDataset({"x": torch.rand(1000, 1), "y": torch.arange(1000) // 500})
    parts.subject = EvaluationView(TinyModel(), {"train": data}, {})
    assert list(find_evaluation_problems(parts)) == []


@pytest.mark.parametrize(
    "evaluation",
    [
        pytest.param(FactorVAEScoreEvaluation("train", n_votes=10), id="another value for each of few examples"),
        pytest.param(PrecisionRecallEvaluation("train", nn.Identity(), 200, n_neighbors=199), id="many neighbors"),
    ],
)
def test_an_evaluation_that_needs_many_examples_passes_the_check(evaluation: Evaluation) -> None:
    parts = make_evaluated_parts(evaluation)
    factors = torch.stack([torch.arange(20_000) // 2, torch.arange(20_000) % 2], 1)
    data = InMemoryDataset({"x": torch.rand(20_000, 4), "factors": factors})
    parts.subject = EvaluationView(TinyModel((4,)), {"train": data}, {})
    assert list(find_evaluation_problems(parts)) == []


class Computed(Generated):
    @property
    def n_samples(self) -> int:
        return 10_000

    def __init__(self) -> None:
        self.seen = []


def test_an_evaluation_that_computes_how_many_examples_it_generates_is_run_as_it_is() -> None:
    evaluation = Computed()
    assert list(find_evaluation_problems(make_evaluated_parts(evaluation))) == []
    assert evaluation.seen == [10_000]


@dataclass(frozen=True)
class Fixed(Evaluation):
    n_samples: int = field(default=10_000, init=False)
    seen: list[int] = field(default_factory=list)
    evaluate = Generated.evaluate


def test_a_frozen_evaluation_with_a_fixed_number_of_examples_is_run_as_it_is() -> None:
    evaluation = Fixed()
    assert list(find_evaluation_problems(make_evaluated_parts(evaluation))) == []
    assert evaluation.seen == [10_000]


OWN = """
from frame_models import VariationalAutoencoder

class Vae(VariationalAutoencoder):
    def compute_loss(self, data, data_idx):
        return super().compute_loss(data, data_idx)["loss"]
"""


@pytest.mark.parametrize("flags", [[], ["--check"]])
def test_train_and_check_report_a_broken_loss_and_leave_nothing(
    flags: list[str], train: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "own_vae.py").write_text(OWN)
    result = train(*flags, "+experiment=DIGITS_VAE", "logging=none", "model._target_=own_vae.Vae")
    assert result.code == 2
    assert result.errors.startswith(
        "error: `model`: `Vae.compute_loss` must return a dictionary with the tensor `loss`"
    )
    assert "Traceback" not in result.errors
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".py" and path.name != "__pycache__"] == []


OWN_GAN = """
from frame_models import GenerativeAdversarialNetwork

class Gan(GenerativeAdversarialNetwork):
    def compute_{part}_loss(self, data, data_idx):
        return {{"loss": super().compute_{part}_loss(data, data_idx)["loss"].item()}}
"""


IMAGES = (
    "~data",
    "+data.train={_target_: torchvision.datasets.FakeData, size: 4, image_size: [1, 28, 28]}",
    "+data.train.transform={_target_: torchvision.transforms.ToTensor}",
    "+data.valid=${data.train}",
)


@pytest.mark.parametrize("changes", [IMAGES, ["--check"]])
@pytest.mark.parametrize("part", ["generator", "discriminator"])
def test_both_losses_of_an_adversarial_model_are_tried_before_the_first_step(
    changes: Sequence[str], part: str, train: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / f"own_gan_{part}.py").write_text(OWN_GAN.format(part=part))
    result = train("+experiment=MNIST_GAN", "logging=none", f"model._target_=own_gan_{part}.Gan", *changes)
    assert result.code == 2
    assert f"`model`: `Gan.compute_{part}_loss` must return a tensor with a gradient as `loss`, got " in result.errors
    assert "Traceback" not in result.errors
    assert not (tmp_path / "runs").exists()
