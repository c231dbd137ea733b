"""Collection of the tests of all packages."""

import atexit
import gc
import os
import sys
import time
from pathlib import Path

import pytest

gc.disable()  # the imports of a collection leave little garbage, and a full collection takes long
if "PYTEST_XDIST_WORKER" in os.environ:
    atexit.register(os._exit, 0)  # registered first, it runs last, and spares a worker the deletion of all objects
else:
    atexit.register(gc.unfreeze)  # the bindings of triton print a warning about each object that is not collected


def pytest_collection_finish() -> None:
    """Make collections during the tests skip everything imported so far."""
    gc.freeze()
    gc.set_threshold(20_000, 5, 5)  # a composition makes many containers and little garbage
    gc.enable()
    _poll_for_wandb_often()


def _poll_for_wandb_often() -> None:
    """Look every 10 ms whether a service of wandb has started: by default, each of the many starts takes 200 ms."""
    client = sys.modules.get("wandb.sdk.lib.service.service_port_file")
    if client is not None:
        assert hasattr(client, "_SLEEP")
        vars(client)["_SLEEP"] = lambda seconds: time.sleep(min(seconds, 0.01))


@pytest.hookimpl(wrapper=True)
def pytest_collect_file(file_path: Path) -> object:
    """Look for doctests only in files with a prompt, because the search imports a file and reads all its docstrings."""
    collectors = yield
    if file_path.suffix == ".py" and ">>>" not in file_path.read_text(encoding="utf-8"):
        return [collector for collector in collectors if type(collector) is pytest.Module]
    return collectors
