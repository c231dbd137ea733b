"""Training with a compiled loss: equal to eager training up to rounding, and resumable bit by bit."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from frame_core.testing import TinyModel
from frame_train.errors import TrainingError
from frame_train.optimization import AdamBatchOptimization
from frame_train.optimization.compilation import MODES, check_mode, compile_loss
from trainers import Losses, fit, ignore_lightning_warnings, make_adam

pytestmark = [
    ignore_lightning_warnings,
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning"),
]


@pytest.mark.parametrize(("given", "expected"), [(False, None), (True, "default"), *zip(MODES, MODES)])
def test_every_mode_is_one_of_torch(given: Any, expected: str | None) -> None:
    from torch._inductor import list_mode_options  # takes seconds to import

    assert check_mode(given) == expected
    assert set(MODES) <= set(list_mode_options())


@pytest.mark.parametrize(
    ("mode", "message"),
    [("reduce-overheads", "Did you mean `reduce-overhead`"), (None, "got None"), (1, "got 1"), ("yes", "got 'yes'")],
)
def test_an_unknown_mode_is_refused(mode: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"`compile` must be true, false or a mode of `torch.compile`, .*{message}"):
        make_adam(compile=mode)


def test_a_missing_compiler_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch._inductor.cpp_builder.get_cpp_compiler", refuse)
    with pytest.raises(TrainingError, match=r"`optimization.compile` needs a C\+\+ compiler, .* `g\+\+`"):
        compile_loss(TinyModel().compute_loss, "default")


@pytest.mark.slow
@pytest.mark.parametrize(("output", "said"), [("", "it printed nothing"), ("fatal error: no headers", "no headers")])
def test_a_compiler_that_fails_is_reported_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str, said: str
) -> None:
    compiler = tmp_path / "g++"
    compiler.write_text(f'#!/bin/sh\ncase "$*" in *--version*) echo "g++ 13";; *) echo "{output}" >&2; exit 1;; esac\n')
    compiler.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "cache"))
    loss = compile_loss(TinyModel().compute_loss, "default")
    with pytest.raises(TrainingError, match=rf"`optimization.compile`: .* failed: .*{said}\. Check that `g\+\+`"):
        loss({"x": torch.zeros(2, 1, 4, 4)}, 0)
    torch.compiler.reset()


def refuse() -> str:
    from torch._inductor.exc import InvalidCxxCompiler

    raise InvalidCxxCompiler


def train(mode: Any = False, n: int = 1, **options: Any) -> tuple[Any, list[float]]:
    """Train three epochs in groups of n steps, and return the optimization with its losses."""
    losses = Losses()
    make = partial(make_adam, compile=mode, steps_per_execution=n)
    trainer = fit(make, losses, **{"max_epochs": 3, "devices": 1, **options})
    return trainer.lightning_module, losses.losses


def assert_same_weights(optimization: AdamBatchOptimization, expected: AdamBatchOptimization) -> None:
    state = expected.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in optimization.state_dict().items())


@pytest.mark.slow
def test_a_compiled_training_is_equal_up_to_rounding_and_resumes_bit_exactly(tmp_path: Path) -> None:
    from torch._dynamo.utils import counters  # takes seconds to import

    _, eager = train()
    counters.clear()
    complete, losses = train(mode=True)
    assert losses == pytest.approx(eager, rel=1e-5)
    assert counters["stats"]["unique_graphs"] == 2  # one for each size of a batch, for every value of the schedule
    first, before = train(mode=True, max_steps=7)
    first.trainer.save_checkpoint(tmp_path / "a.ckpt")
    resumed, after = train(resume_from=tmp_path / "a.ckpt", mode=True)
    assert before + after == losses
    assert_same_weights(resumed, complete)
    together, _ = train(mode=True, n=2)
    assert_same_weights(together, complete)


train_on_gpu = partial(train, accelerator="gpu")


@pytest.mark.gpu
@pytest.mark.parametrize("mode", [True, "reduce-overhead", "max-autotune-no-cudagraphs"])
@pytest.mark.parametrize("n", [1, 2])
def test_on_a_gpu_a_compiled_training_is_equal_up_to_rounding(mode: Any, n: int) -> None:
    _, eager = train_on_gpu()
    _, losses = train_on_gpu(mode=mode, n=n)
    assert losses == pytest.approx(eager, rel=1e-4)  # sums in another order, over 15 steps


@pytest.mark.gpu
def test_on_a_gpu_a_training_with_cuda_graphs_resumes_bit_exactly(tmp_path: Path) -> None:
    complete, _ = train_on_gpu(mode="reduce-overhead")
    first, _ = train_on_gpu(mode="reduce-overhead", max_steps=7)
    first.trainer.save_checkpoint(tmp_path / "a.ckpt")
    resumed, _ = train_on_gpu(resume_from=tmp_path / "a.ckpt", mode="reduce-overhead")
    assert_same_weights(resumed, complete)


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["bf16-mixed", "bf16-true"])
def test_on_a_gpu_a_compiled_training_keeps_the_precision(precision: Any) -> None:
    _, losses = train_on_gpu(mode=True, precision=precision)
    assert losses == pytest.approx(train_on_gpu(precision=precision)[1], rel=0.05)  # bfloat16 has three digits
