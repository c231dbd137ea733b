from collections.abc import Mapping
from functools import partial
from typing import Any

import pytest
import torch
from pytorch_lightning import Callback, Trainer
from torch import Tensor

from doubles import FailingEvaluation, RecordingLogger
from frame_core.testing import TinyModel
from frame_train.callbacks import CumulativeLogCallback, EvaluationCallback
from trainers import fit, fit_tiny, ignore_lightning_warnings, make_tiny_optimization

pytestmark = ignore_lightning_warnings


class Recorder(Callback):
    """Records what every training step returns."""

    def __init__(self) -> None:
        self.outputs: list[dict[str, Tensor]] = []

    def on_train_batch_end(self, *arguments: Any) -> None:
        self.outputs.append(arguments[2])


def test_training_quantities_are_logged_as_means_since_the_last_entry() -> None:
    logger, recorder = RecordingLogger(), Recorder()
    fit_tiny(recorder, CumulativeLogCallback("3 iterations"), logger=logger, max_epochs=1)
    assert logger.steps == [3, 5]
    for (_, values, _, _), outputs in zip(logger.entries, (recorder.outputs[:3], recorder.outputs[3:])):
        for name in ("loss", "reconstruction", "regularization", "classification"):
            expected = torch.stack([output[name] for output in outputs]).mean().item()
            assert values[name] == pytest.approx(expected)


class NumberModel(TinyModel):
    """Returns what it computes beside the loss as numbers."""

    def compute_loss(self, data: Mapping[str, Tensor], data_idx: int) -> Mapping[str, Tensor | float]:
        quantities = super().compute_loss(data, data_idx)
        return {name: value if name == "loss" else value.item() for name, value in quantities.items()}


@pytest.mark.parametrize("steps_per_execution", [1, 5])
def test_numbers_beside_the_loss_are_logged_as_tensors_are(steps_per_execution: int) -> None:
    logged = []
    for model in (TinyModel, NumberModel):
        logger = RecordingLogger()
        make = partial(make_tiny_optimization, model(), steps_per_execution=steps_per_execution)
        fit(make, CumulativeLogCallback("5 iterations"), logger=logger, max_epochs=1)
        ((_, values, _, _),) = logger.entries
        logged.append(dict(values))
    assert logged[0] == logged[1]


class OccasionalModel(TinyModel):
    """Returns a further quantity in every second step."""

    def compute_loss(self, data: Mapping[str, Tensor], data_idx: int) -> Mapping[str, Tensor | float]:
        further = {"even": float(data_idx)} if data_idx % 2 == 0 else {}
        return {**super().compute_loss(data, data_idx), **further}


@pytest.mark.parametrize("steps_per_execution", [1, 5])
def test_a_mean_is_taken_over_the_steps_that_have_the_quantity(steps_per_execution: int) -> None:
    logger = RecordingLogger()
    make = partial(make_tiny_optimization, OccasionalModel(), steps_per_execution=steps_per_execution)
    fit(make, CumulativeLogCallback("5 iterations"), logger=logger, max_epochs=1)
    ((_, values, _, _),) = logger.entries
    assert values["even"] == pytest.approx((0 + 2 + 4) / 3)


def test_accumulation_of_gradients_does_not_scale_the_logged_loss() -> None:
    logger = RecordingLogger()
    fit_tiny(CumulativeLogCallback("1 iteration"), logger=logger, max_epochs=1, accumulate_grad_batches=2)
    for _, values, _, _ in logger.entries:
        terms = values["reconstruction"] + values["regularization"] + values["classification"]
        assert values["loss"] == pytest.approx(terms, rel=1e-5)


def test_pending_means_are_logged_when_the_training_fails() -> None:
    logger = RecordingLogger()
    failing = EvaluationCallback("A", "3 iterations", FailingEvaluation())
    with pytest.raises(RuntimeError, match="nothing to see"):
        fit_tiny(CumulativeLogCallback("100 iterations"), failing, logger=logger, max_epochs=1)
    assert [(name, step) for name, _, step, _ in logger.entries] == [("A/Error", 3), ("Train", 3)]


def test_means_continue_after_a_resume(tmp_path: Any) -> None:
    whole, resumed = RecordingLogger(), RecordingLogger()
    fit_tiny(CumulativeLogCallback("7 iterations"), logger=whole, max_epochs=2)

    class Saver(Callback):
        def on_train_epoch_end(self, trainer: Trainer, pl_module: Any) -> None:
            trainer.save_checkpoint(tmp_path / "a.ckpt")

    fit_tiny(CumulativeLogCallback("7 iterations"), Saver(), logger=RecordingLogger(), max_epochs=1)
    fit_tiny(CumulativeLogCallback("7 iterations"), logger=resumed, resume_from=tmp_path / "a.ckpt", max_epochs=2)
    assert resumed.steps == whole.steps
    assert set(resumed.entries[0][1]) == set(whole.entries[0][1])


def test_one_process_continues_with_the_means_of_the_sums_of_two() -> None:
    callback = CumulativeLogCallback("5 iterations")
    sums = [{"loss": torch.tensor(2.0)}, {"loss": torch.tensor(4.0)}]
    callback.load_state_dict({**callback.state_dict(), "sums": sums, "counts": {"loss": 2}})
    state = callback.state_dict()
    assert (state["sums"], state["counts"]) == ([{"loss": torch.tensor(3.0)}], {"loss": 2})
