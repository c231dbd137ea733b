import inspect
import re
from pathlib import Path

import pytest
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.loggers import Logger
from pytorch_lightning.strategies import DDPStrategy, SingleDeviceStrategy

import frame_train
from frame_train.optimization import lightning_internals

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
