"""Signatures read from source files equal those of the imported classes and functions."""

import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest
from yaml import CSafeLoader, load

from frame_train.composition import written_signatures
from frame_train.composition.objects import find_target
from frame_train.composition.settings import config_directory
from frame_train.composition.signatures import describe, find_argument_problems
from frame_train.composition.written_signatures import read_written_signature

FILES = sorted(config_directory().rglob("*.yaml"))


def list_targets(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["_target_"]] if "_target_" in node else []
        return own + [target for part in node.values() for target in list_targets(part)]
    return [target for part in node for target in list_targets(part)] if isinstance(node, list) else []


TARGETS = sorted({target for file in FILES for target in list_targets(load(file.read_text(), CSafeLoader))})
MODULES = (
    "frame_architectures",
    "frame_core",
    "frame_eval",
    "frame_loggers",
    "frame_models",
    "frame_train.data.augmentation",
    "frame_train.callbacks",
    "frame_train.data",
    "frame_train.optimization",
)
PUBLIC = [
    f"{module}.{name}"
    for module in MODULES
    for name, part in inspect.getmembers(importlib.import_module(module), inspect.isclass)
    if part.__module__.startswith(module) and not getattr(part, "_is_protocol", False) and not name.startswith("_")
]
PUBLIC_TARGETS = sorted(
    {target for target in TARGETS if target.startswith("frame_") and "${" not in target} | set(PUBLIC)
)


def test_the_public_classes_are_found() -> None:
    assert len(PUBLIC_TARGETS) > 60


@pytest.mark.parametrize("path", PUBLIC_TARGETS)
def test_a_signature_read_from_its_file_equals_that_of_the_imported_target(path: str) -> None:
    target = find_target(path, "")
    signature = inspect.signature(target, eval_str=True)
    written = read_written_signature(path)
    if written is None:  # inherited, or made by a decorator
        assert inspect.isclass(target)
        assert "__init__" not in vars(target) or hasattr(target, "__dataclass_fields__") or hasattr(target, "_fields")
        return
    assert written.name == describe(target)
    assert list(written.signature.parameters) == list(signature.parameters)
    for name, parameter in written.signature.parameters.items():
        expected = signature.parameters[name]
        assert parameter.kind == expected.kind
        assert (parameter.default is parameter.empty) == (expected.default is expected.empty)
        assert parameter.annotation is parameter.empty or _write(parameter.annotation) == _write(expected.annotation)


def _write(annotation: Any) -> str:
    """Write an annotation without modules, because a stand-in for a class has only its name."""
    return re.sub(r"\w+\.", "", inspect.formatannotation(annotation))


def test_a_plain_value_does_not_fit_a_class_of_ours() -> None:
    signature = read_written_signature("frame_models.VariationalAutoencoder")
    problems = find_argument_problems(signature, (), {"beta": "abc", "encoder": 5}, "model", partial=True)
    expected = "float or Schedule or a list of float or Schedule"
    assert [str(problem) for problem in problems] == [f"`model.beta` must be of type {expected}, got 'abc'."]


def test_most_signatures_can_be_read() -> None:
    assert sum(read_written_signature(path) is not None for path in PUBLIC_TARGETS) > 0.8 * len(PUBLIC_TARGETS)


@pytest.mark.parametrize("package", ["frame_architectures", "frame_core", "frame_eval", "frame_models", "frame_train"])
def test_a_module_has_no_signature(package: str) -> None:
    paths = [part.name for part in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}.")]
    assert paths
    assert {read_written_signature(path) for path in paths} == {None}


@pytest.mark.parametrize("path", ["torch.nn.Linear", "frame_train", "frame_train.no.Such", "frame_no.Such", "", "."])
def test_foreign_and_missing_targets_are_not_read(path: str) -> None:
    assert read_written_signature(path) is None


MODULE = """
from __future__ import annotations
import enum
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, TYPE_CHECKING
if TYPE_CHECKING:
    from frame_written.parts import Part

def plain(a: int, /, b: float = 1.0, *rest: str, c: bool, d: "str | None" = None, **others: int) -> None: ...
def deep(a: list[int], b: dict[str, float], c: Literal["x", "y"], d: Callable[[int], int], e: Sequence[str] | None): ...
def unknown(a: enum.Enum, b: int | enum.Enum, c: print("read"), d=3, e: [0][1] = 1): ...
@enum.verify
def decorated(a: int): ...
class Inherits(dict): ...
class Makes:
    def __new__(cls, a: int): ...
    def __init__(self, b: int): ...
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    folder = tmp_path / "frame_written"
    folder.mkdir()
    (folder / "__init__.py").write_text(MODULE)
    (folder / "parts.py").write_text("class Part:\n    def __init__(self, size: int) -> None: ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(written_signatures, "_OURS", (folder.name,))
    return folder.name


def read_types(path: str) -> dict[str, Any]:
    written = read_written_signature(path)
    assert written is not None
    return {name: part.annotation for name, part in written.signature.parameters.items()}


def test_only_plain_types_are_read_and_nothing_is_executed(package: str, capsys: pytest.CaptureFixture[str]) -> None:
    empty = inspect.Parameter.empty
    assert read_types(f"{package}.plain") == {"a": int, "b": float, "rest": str, "c": bool, "d": empty, "others": int}
    assert read_types(f"{package}.deep") == {
        "a": list[int],
        "b": dict[str, float],
        "c": Literal["x", "y"],
        "d": Callable[[int], int],
        "e": Sequence[str] | None,
    }
    assert set(read_types(f"{package}.unknown").values()) == {empty}
    assert read_types(f"{package}.Part") == {"size": int}
    for name in ("decorated", "Inherits", "Makes", "no_such"):
        assert read_written_signature(f"{package}.{name}") is None
    assert package not in sys.modules
    assert capsys.readouterr().out == ""


def test_reading_a_signature_imports_nothing() -> None:
    program = (
        "import sys; from frame_train.composition.written_signatures import read_written_signature as read;"
        "assert read('frame_models.VariationalAutoencoder'); assert not {'torch', 'frame_models'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
