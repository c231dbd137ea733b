"""Evaluations of a model that is given the label of an example."""

import torch
from torch import Tensor

from frame_core import get_batch, run_evaluation
from frame_core.testing import TinyConditionalModel, TinyOptimization, make_tiny_data
from frame_eval import (
    ELBOEvaluation,
    ImageReconstructionEvaluation,
    LinearProbeEvaluation,
    LogLikelihoodEvaluation,
)
from frame_eval.images import make_grid_entry

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
