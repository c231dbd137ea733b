import inspect
import re
from pathlib import Path
from typing import Any

import pytest
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import LambdaCallback
from pytorch_lightning.loggers import Logger
from pytorch_lightning.strategies import DDPStrategy, SingleDeviceStrategy

import frame_train
from frame_core.testing import TinyModel
from frame_train.optimization import AdamBatchOptimization, lightning_internals
from frame_train.optimization.lightning_internals import DefinedHooks
from trainers import fit, ignore_lightning_warnings, make_tiny_split

SOURCE = Path(frame_train.__file__).parent
USERS = [
    path
    for path in sorted(SOURCE.rglob("*.py"))
    if path != Path(lightning_internals.__file__) and "lightning" in path.read_text(encoding="utf-8")
]


def list_private_names(*classes: type) -> set[str]:
    """List the private names of classes of Lightning and of their bases in Lightning."""
    bases = {base for kind in classes for base in kind.__mro__ if "lightning" in base.__module__}
    return {name for base in bases for name in re.findall(r"(?:self\.|def )(_[a-z]\w*)", inspect.getsource(base))}


def list_used_classes() -> list[type]:
    trainer = Trainer(logger=False, enable_checkpointing=False, accelerator="cpu", barebones=True)
    return [
        type(part) for part in (trainer, trainer._accelerator_connector, trainer.fit_loop.epoch_loop, trainer.fit_loop)
    ]


OF_OWN_BASES = list_private_names(LightningModule, Callback, Logger)
OF_OTHERS = list_private_names(*list_used_classes(), DDPStrategy, SingleDeviceStrategy) | OF_OWN_BASES


def test_the_private_names_of_lightning_are_found() -> None:
    assert {"_accelerator_connector", "_ddp_kwargs", "_broadcast_sigterm_tensor"} <= OF_OTHERS
    assert "_trainer" in OF_OWN_BASES
    assert len(USERS) > 20


@pytest.mark.parametrize("path", USERS, ids=[str(path.relative_to(SOURCE)) for path in USERS])
def test_no_other_file_uses_internals_of_lightning(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for owner, name in re.findall(r"(\w*)\.(_[a-z]\w*)", text):
        assert name not in (OF_OWN_BASES if owner == "self" else OF_OTHERS), f"{owner}.{name}"
    assert re.findall(r"\b(?:fit_loop|epoch_loop|batch_progress)\b|\"loops\"", text) == []
    assert (
        re.findall(r"^ *(?:from|import) \S*lightning\S*\._.*|^ *from \S*lightning\S* import .*\b_.*", text, re.M) == []
    )


class Hooks(Callback):
    """Records the hooks around backward and the optimizer's step, and logs in each."""

    call_every = 0

    def __init__(self, calls: list[str]) -> None:
        self.calls = calls

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Any) -> None:
        self.calls.append(f"callback before backward {loss.item()}")
        pl_module.log("before_backward", loss)

    def on_after_backward(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.calls.append("callback after backward")

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Any) -> None:
        self.calls.append(f"callback before {type(optimizer).__name__}")


class Idle(Callback):
    call_every = 0


class WithHooks(AdamBatchOptimization):
    calls: list[str]

    def on_after_backward(self) -> None:
        self.calls.append("module after backward")


@ignore_lightning_warnings
@pytest.mark.parametrize("steps_per_execution", [1, 2])
def test_the_hooks_that_are_defined_are_called_as_lightning_calls_them(steps_per_execution: int) -> None:
    def record(**plugins: Any) -> list[str]:
        calls: list[str] = []

        def make() -> AdamBatchOptimization:
            data = {"train": make_tiny_split(48)}
            optimization = WithHooks(TinyModel(), data, 0, 10, 0.01, steps_per_execution=steps_per_execution)
            optimization.calls = calls
            return optimization

        set_on_it = LambdaCallback(on_before_optimizer_step=lambda *_: calls.append("function before the step"))
        set_on_it.call_every = 0
        trainer = fit(make, Idle(), Hooks(calls), set_on_it, max_epochs=1, **plugins)
        return [*calls, f"{float(trainer.callback_metrics['before_backward'])}"]

    expected = record()
    assert len(expected) == 5 * 5 + 1
    assert record(plugins=[DefinedHooks()]) == expected


class Late(Callback):
    """Adds a callback after the first batch."""

    call_every = 0

    def __init__(self, callback: Callback) -> None:
        self.callback = callback

    def on_train_batch_end(self, trainer: Trainer, *others: Any) -> None:
        if self.callback not in trainer.callbacks:
            trainer.callbacks.append(self.callback)


@ignore_lightning_warnings
def test_the_hooks_of_a_callback_that_is_added_during_the_training_are_called() -> None:
    def record(**plugins: Any) -> list[str]:
        calls: list[str] = []
        data = {"train": make_tiny_split(48)}
        fit(lambda: AdamBatchOptimization(TinyModel(), data, 0, 10, 0.01), Late(Hooks(calls)), max_epochs=1, **plugins)
        return calls

    expected = record()
    assert len(expected) == 4 * 3
    assert record(plugins=[DefinedHooks()]) == expected
