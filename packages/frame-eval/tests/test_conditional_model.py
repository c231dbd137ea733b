"""Evaluations of a model that is given the label of an example."""

from typing import Any

import pytest
import torch
from torch import Tensor

from frame_core import check_requirements, get_batch, run_evaluation
from frame_core.testing import TinyConditionalModel, TinyOptimization, make_tiny_data
from frame_eval import (
    ELBOEvaluation,
    ImageReconstructionEvaluation,
    ImageSampleEvaluation,
    LinearProbeEvaluation,
    LogLikelihoodEvaluation,
)
from frame_eval.pictures.images import make_grid_entry

DATA = make_tiny_data(7)
BATCH = get_batch(DATA, torch.arange(7))


def make_optimization(x: Tensor = BATCH["x"]) -> TinyOptimization:
    data = [{"x": x[index], "y": BATCH["y"][index]} for index in range(7)]
    return TinyOptimization(model=TinyConditionalModel(), data={"train": data, "valid": data})


def test_the_bounds_are_the_log_evidence_given_the_label() -> None:
    expected = TinyConditionalModel().log_evidence(BATCH).mean().item()
    for evaluation in (ELBOEvaluation("valid"), LogLikelihoodEvaluation("valid")):
        entry = run_evaluation(evaluation, make_optimization())
        torch.testing.assert_close(entry.value, expected, rtol=1e-5, atol=0)


def test_images_are_reconstructed_given_the_label() -> None:
    entry = run_evaluation(ImageReconstructionEvaluation("valid", n_pictures=7), make_optimization())
    images = torch.cat([BATCH["x"], TinyConditionalModel().reconstruct(BATCH).detach()])
    assert torch.equal(entry.value, make_grid_entry(images, n_columns=7).value)


def test_representations_are_those_given_the_label() -> None:
    shifts = TinyConditionalModel().shifts.detach()[BATCH["y"]]
    # the mean of z is (x - shift) / 2: the shift of the label for the first data, and 0 for all of the second
    for x, accuracy in ((3 * shifts, 1.0), (shifts, 3 / 7)):
        assert run_evaluation(LinearProbeEvaluation("valid"), make_optimization(x)).value == accuracy


class ShadedModel(TinyConditionalModel):
    """Generates images of label y in the shade y / 2."""

    def sample(self, sample_shape: torch.Size = torch.Size([]), sample_output: bool = False, *, y: Any) -> Tensor:
        labels = torch.as_tensor(y)
        return self.shifts[labels].expand(*sample_shape, *labels.shape, *self.x_shape)


def read_shades(evaluation: ImageSampleEvaluation) -> list[float]:
    optimization = make_optimization()
    optimization.model = ShadedModel()
    image = run_evaluation(evaluation, optimization).value
    return [round(shade / 255, 1) for shade in image[0, 2::6, 2::6].flatten().tolist()]


@pytest.mark.parametrize(("n_pictures", "shades"), [(7, [0, 0.5, 1, 0, 0.5, 1, 0, 0, 0]), (4, [0, 0.5, 0, 1])])
def test_images_are_generated_given_the_labels_of_a_split(n_pictures: int, shades: list[float]) -> None:
    assert read_shades(ImageSampleEvaluation(n_pictures, evaluate_on="valid")) == shades


def test_a_condition_that_is_given_directly_replaces_that_of_the_split() -> None:
    assert read_shades(ImageSampleEvaluation(4, evaluate_on="valid", y=1)) == [0.5] * 4


def test_a_condition_that_is_missing_is_named() -> None:
    message = r"`TinyConditionalModel\.sample` needs `y`\. Set `evaluate_on` to a split whose examples have it"
    with pytest.raises(TypeError, match=message):
        check_requirements(ImageSampleEvaluation(4), make_optimization())
