import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

import frame_loggers

SCRIPT = """
import os, sys
import frame_loggers
assert not {"pytorch_lightning", "tensorboard", "wandb"} & set(sys.modules)
from frame_core import SCALAR_ENTRY, LogEntry

def log(logger):
    logger.log("Loss", LogEntry(SCALAR_ENTRY, 1.0), global_step=1)
    logger.finalize("success")

log(frame_loggers.FileLogger(sys.argv[1]))
assert not {"tensorboard", "wandb"} & set(sys.modules)
if pid := os.fork():
    log(frame_loggers.TensorBoardLogger(sys.argv[1]))
    assert "wandb" not in sys.modules
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
else:
    log(frame_loggers.WandbLogger("project", "run", sys.argv[1]))
    assert "tensorboard" not in sys.modules
"""


@pytest.mark.slow
def test_no_logger_imports_the_library_of_another_and_none_prompts_on_a_terminal(tmp_path: Path) -> None:
    main, terminal = pty.openpty()
    command = [sys.executable, "-W", "error", "-c", SCRIPT, str(tmp_path)]
    result = subprocess.run(command, stdin=terminal, stdout=terminal, stderr=terminal, check=False)
    os.close(terminal)
    shown = os.read(main, 100_000).decode()
    os.close(main)
    assert result.returncode == 0, shown
    (line,) = shown.splitlines()
    assert line.startswith("W&B: there are no credentials")


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
