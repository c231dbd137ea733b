"""A compiled loss: the training that it would be without, but for rounding, and to the bit the same when resumed."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning import Callback, Trainer, seed_everything
from torch._dynamo.utils import counters
from torch._inductor import list_mode_options

from frame_architectures import DiagonalNormal, digits
from frame_core import LinearWarmup
from frame_core.testing import TinyModel
from frame_models import VariationalAutoencoder
from frame_train.data import Digits
from frame_train.errors import TrainingError
from frame_train.optimization import AdamBatchOptimization
from frame_train.optimization.compilation import MODES, check_mode, compile_loss

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*smaller than the logging interval"),
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*your dataloader is not resumable"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
DATA = {"train": Digits("train")}  # five batches of 300, of which the last has 97


@pytest.mark.parametrize(("given", "expected"), [(False, None), (True, "default"), *zip(MODES, MODES)])
def test_every_mode_is_one_of_torch(given: Any, expected: str | None) -> None:
    assert check_mode(given) == expected
    assert set(MODES) <= set(list_mode_options())


@pytest.mark.parametrize(
    ("mode", "told"),
    [("reduce-overheads", "Did you mean `reduce-overhead`"), (None, "got None"), (1, "got 1"), ("yes", "got 'yes'")],
)
def test_an_unknown_mode_is_refused(mode: Any, told: str) -> None:
    with pytest.raises(ValueError, match=f"`compile` must be true, false or a mode of `torch.compile`, .*{told}"):
        make(compile=mode)


def test_a_missing_compiler_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch._inductor.cpp_builder.get_cpp_compiler", refuse)
    with pytest.raises(TrainingError, match=r"`optimization.compile` needs a C\+\+ compiler, .* `g\+\+`"):
        compile_loss(TinyModel().compute_loss, "default")


def refuse() -> str:
    from torch._inductor.exc import InvalidCxxCompiler

    raise InvalidCxxCompiler


def make(**options: Any) -> AdamBatchOptimization:
    beta = LinearWarmup(0.0, 1.0, "12 iterations")
    model = VariationalAutoencoder(digits.Encoder(2, [8]), digits.Decoder(2, [8]), DiagonalNormal(2), beta)
    return AdamBatchOptimization(model, DATA, 0, 300, 1e-3, **options)


class Losses(Callback):
    """Keeps the loss of each step."""

    def __init__(self) -> None:
        self.losses: list[float] = []

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, *arguments: Any) -> None:
        self.losses += outputs["loss"].flatten().tolist()


def fit(
    path: Path | None = None, accelerator: str = "cpu", max_steps: int = -1, precision: Any = "32-true", **options: Any
) -> tuple[AdamBatchOptimization, list[float]]:
    seed_everything(0, verbose=False)
    optimization, losses = make(**options), Losses()
    trainer = Trainer(
        accelerator=accelerator,
        devices=1,
        precision=precision,
        max_epochs=3,
        max_steps=max_steps,
        callbacks=[losses],
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
    )
    trainer.fit(optimization, ckpt_path=path, weights_only=True)
    return optimization, losses.losses


def assert_same_weights(optimization: AdamBatchOptimization, expected: AdamBatchOptimization) -> None:
    state = expected.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in optimization.state_dict().items())


@pytest.mark.slow
def test_a_compiled_training_is_equal_up_to_rounding_and_resumes_bit_exactly(tmp_path: Path) -> None:
    _, eager = fit()
    counters.clear()
    whole, losses = fit(compile=True)
    assert losses == pytest.approx(eager, rel=1e-5)
    assert counters["stats"]["unique_graphs"] == 2  # one for each size of a batch, whatever the schedule says
    first, before = fit(compile=True, max_steps=7)
    first.trainer.save_checkpoint(tmp_path / "a.ckpt")
    resumed, after = fit(tmp_path / "a.ckpt", compile=True)
    assert before + after == losses
    assert_same_weights(resumed, whole)
    together, _ = fit(compile=True, steps_per_execution=2)
    assert_same_weights(together, whole)


fit_on_gpu = partial(fit, accelerator="gpu")


@pytest.mark.gpu
@pytest.mark.parametrize("mode", [True, "reduce-overhead", "max-autotune-no-cudagraphs"])
@pytest.mark.parametrize("steps_per_execution", [1, 2])
def test_on_a_gpu_a_compiled_training_is_equal_up_to_rounding(mode: Any, steps_per_execution: int) -> None:
    _, eager = fit_on_gpu()
    _, losses = fit_on_gpu(compile=mode, steps_per_execution=steps_per_execution)
    assert losses == pytest.approx(eager, rel=1e-4)  # sums in another order, over 15 steps


@pytest.mark.gpu
def test_on_a_gpu_a_training_with_cuda_graphs_resumes_bit_exactly(tmp_path: Path) -> None:
    whole, _ = fit_on_gpu(compile="reduce-overhead")
    first, _ = fit_on_gpu(compile="reduce-overhead", max_steps=7)
    first.trainer.save_checkpoint(tmp_path / "a.ckpt")
    resumed, _ = fit_on_gpu(tmp_path / "a.ckpt", compile="reduce-overhead")
    assert_same_weights(resumed, whole)


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["bf16-mixed", "bf16-true"])
def test_on_a_gpu_a_compiled_training_keeps_the_precision(precision: Any) -> None:
    _, losses = fit_on_gpu(compile=True, precision=precision)
    assert losses == pytest.approx(fit_on_gpu(precision=precision)[1], rel=0.05)  # of three digits
