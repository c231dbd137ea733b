"""A user's semi-supervised autoencoder."""

import pytest
import torch

from frame_core import get_batch
from frame_train import EvaluationError, Result
from projects import Project


@pytest.fixture(scope="module")
def result(project: Project) -> Result:
    return project.train()


def test_batches_are_partly_labelled_and_the_labels_are_learned(project: Project, result: Result) -> None:
    assert 0 < result.last["Train/labelled"] < 0.2
    assert result.last["Accuracy/Validation"] > 0.5


def test_the_bound_of_an_unlabelled_image_is_at_least_that_of_any_label(project: Project, result: Result) -> None:
    run = project.load(result)
    model, batch = run.model, get_batch(run.data["valid"], torch.arange(1))
    model.alpha = 0.0
    losses = []
    for label in (-1, *range(10)):
        torch.manual_seed(0)
        losses.append(model.compute_loss({"x": batch["x"], "y": torch.tensor([label])}, 0)["loss"].item())
    q_y = model.classify(batch)
    expected = (q_y.probs[0] * torch.tensor(losses[1:])).sum() - q_y.entropy()[0]
    assert losses[0] == pytest.approx(expected.item(), rel=1e-5)


def test_an_accuracy_on_unknown_labels_is_refused(project: Project) -> None:
    with pytest.raises(EvaluationError) as caught:
        project.train("evaluation.accuracy_validation.evaluator.evaluate_on=train", "trainer.max_epochs=1")
    what, where, advice = str(caught.value).splitlines()
    assert "'Accuracy/Validation' failed at step 13: Labels `y` must be non-negative, got -1" in what
    assert where == "Its traceback is logged as 'Accuracy/Validation/Error'."
    assert advice.startswith("Training is complete. `evaluate run=")
