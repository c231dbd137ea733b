import subprocess
import sys

import pytest

import frame_loggers

SCRIPT = """
import sys, tempfile
import frame_loggers
assert not {"pytorch_lightning", "tensorboard", "wandb"} & set(sys.modules)
from frame_core import SCALAR_ENTRY, LogEntry

def log(logger):
    logger.log("Loss", LogEntry(SCALAR_ENTRY, 1.0), global_step=1)
    logger.finalize("success")

with tempfile.TemporaryDirectory() as directory:
    log(frame_loggers.FileLogger(directory))
    assert not {"tensorboard", "wandb"} & set(sys.modules)
    log(frame_loggers.TensorBoardLogger(directory))
    assert "wandb" not in sys.modules
    log(frame_loggers.WandbLogger("project", "run", directory))
"""


def test_no_logger_imports_the_library_of_another_and_none_prompts() -> None:
    command = [sys.executable, "-W", "error", "-c", SCRIPT]
    result = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert result.returncode == 0, result.stderr
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1, "the only line must be the offline warning of W&B"


@pytest.mark.parametrize(("name", "library"), [("TensorBoardLogger", "tensorboard"), ("WandbLogger", "wandb")])
def test_a_missing_library_is_named_with_the_extra_to_install(
    name: str, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in [f"frame_loggers.{library}", *(m for m in sys.modules if m.startswith("torch.utils.tensorboard"))]:
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ModuleNotFoundError) as error:
        getattr(frame_loggers, name)
    assert str(error.value) == f"`{name}` needs {library}: `pip install frame-loggers[{library}]`."


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="NoLogger"):
        _ = frame_loggers.NoLogger
