"""Folders of users, each with Python code and an experiment of its own."""

import shutil
import sys
from collections.abc import Iterator

import pytest

from projects import Project


@pytest.fixture(scope="module")
def project(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A copy of the folder that a test file is named after; its code can be imported."""
    name = request.path.stem.removeprefix("test_")
    folder = tmp_path_factory.mktemp(name)
    shutil.copytree(request.path.parent / name, folder, dirs_exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.syspath_prepend(str(folder))
        patch.setenv("WANDB_MODE", "disabled")
        yield Project(name, folder)
    sys.modules.pop(name, None)
