import functools
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hydra.utils import instantiate as hydra_instantiate
from omegaconf import OmegaConf

from frame_train.composition.objects import Composition
from frame_train.errors import CompositionError

COUNTER = {"_target_": "collections.Counter"}


def build(config: dict[str, Any]) -> Any:
    return Composition().instantiate(OmegaConf.create(config))


def test_a_node_referred_to_twice_is_one_object() -> None:
    built = build({"part": COUNTER, "first": "${part}", "second": {"inner": ["${first}", "${part}"]}})
    assert isinstance(built["part"], Counter)
    assert built["first"] is built["part"]
    assert built["second"]["inner"][0] is built["part"]
    assert built["second"]["inner"][1] is built["part"]


def test_an_argument_is_the_object_that_it_refers_to() -> None:
    holder = {"_target_": "types.SimpleNamespace", "part": "${part}"}
    built = build({"part": COUNTER, "one": holder, "two": holder})
    assert built["one"].part is built["two"].part is built["part"]
    assert built["one"] is not built["two"]


def test_nodes_built_by_one_composition_share_objects() -> None:
    config = OmegaConf.create(
        {"part": COUNTER, "one": ["${part}"], "two": {"_target_": "builtins.tuple", "_args_": ["${one}"]}}
    )
    composition = Composition()
    assert composition.instantiate(config.one)[0] is composition.instantiate(config.two)[0]


def test_a_plain_dictionary_referred_to_twice_is_one_object() -> None:
    built = build({"data": {"train": COUNTER}, "first": "${data}", "second": "${data}"})
    assert built["first"] is built["second"]


def test_a_node_with_copy_is_a_new_object_for_each_reference() -> None:
    built = build({"part": {**COUNTER, "_copy_": True}, "first": "${part}", "second": "${part}"})
    assert built["first"] is not built["second"]


def test_two_equal_nodes_are_two_objects() -> None:
    built = build({"first": COUNTER, "second": COUNTER})
    assert built["first"] is not built["second"]


def test_a_partial_function_holds_the_shared_object() -> None:
    built = build(
        {"part": COUNTER, "make": {"_target_": "types.SimpleNamespace", "_partial_": True, "part": "${part}"}}
    )
    assert isinstance(built["make"], functools.partial)
    assert built["make"](more=1).part is built["part"]


def test_containers_are_plain_lists_and_dictionaries() -> None:
    built = build({"node": {"_target_": "types.SimpleNamespace", "sizes": [1, 2], "options": {"a": 1}}})
    assert type(built["node"].sizes) is list
    assert type(built["node"].options) is dict


@pytest.mark.parametrize(
    "node",
    [
        {"_target_": "builtins.complex", "real": 1, "imag": 2.5},
        {"_target_": "builtins.divmod", "_args_": [7, 2]},
        {
            "_target_": "builtins.dict",
            "inner": {"_target_": "builtins.dict", "x": "${value}"},
            "list": [1, [2, "${value}"]],
        },
        {"_target_": "builtins.dict", "_recursive_": False, "inner": {"_target_": "builtins.dict", "x": 1}},
        {"_target_": "builtins.dict", "_convert_": "all", "none": None, "text": "a ${value}"},
        [1, "${value}", {"_target_": "builtins.str", "_args_": ["${value}"]}],
    ],
)
def test_values_equal_those_of_hydra(node: Any) -> None:
    config = OmegaConf.create({"value": 3, "node": node})
    assert Composition().instantiate(config.node) == hydra_instantiate(config.node)


@pytest.mark.parametrize(
    ("config", "messages"),
    [
        (
            {"a": {"_target_": "frame_models.VariationalAutoencoderr"}},
            ["`a._target_`", "Did you mean `VariationalAutoencoder`"],
        ),
        (
            {"a": {"_target_": "no_such_package.Model"}},
            ["`a._target_`", "No module named 'no_such_package'. Run the command in the folder"],
        ),
        ({"a": {"_target_": "math.pi"}}, ["`a._target_`", "must be a class or a function"]),
        ({"a": {"_target_": "os.system", "command": "true"}}, ["`a._target_`", "os.system"]),
        ({"a": {"_target_": "frame_architectures.DiagonalNormal", "zdim": 3}}, ["`a`", "Did you mean `z_dim`"]),
        ({"a": {"_target_": "frame_architectures.DiagonalNormal"}}, ["`a`", "missing", "`z_dim`"]),
        ({"a": {"_target_": "frame_architectures.DiagonalNormal", "z_dim": 0}}, ["`a`", "got 0"]),
        ({"a": {"_target_": "frame_architectures.DiagonalNormal", "z_dim": "3"}}, ["`a.z_dim`", "int", "'3'"]),
        ({"a": {"b": "${c.d}"}}, ["`a.b`", "refers to `c.d`, which does not exist"]),
        ({"a": {"d": "${c.d}"}, "b": {"d": 1}}, ["`a.d`", "refers to `c.d`, which does not exist. Did you mean `b.d`"]),
        ({"a": [0, {"_target_": "collections.Counter", "_args_": 5}]}, ["`a[1]._args_` must be of type list"]),
        ({"a": [{"_target_": "nothing.here"}]}, ["`a[0]._target_`: there is no `nothing.here`"]),
        ({"a": {"b": "???"}}, ["`a.b`", "has no value (`???`)"]),
        ({"a": {"_target_": "builtins.dict", "x": "${b}"}, "b": ["${a}"]}, ["`a`", "refers to itself", "`a` → `b`"]),
        ({"a": {"_target_": "frame_train.optimization.AdamBatchOptimization", "_partial_": True, "lrr": 1}}, ["`lr`"]),
    ],
)
def test_an_error_names_the_key(config: dict[str, Any], messages: list[str]) -> None:
    with pytest.raises(CompositionError) as error:
        build(config)
    for message in messages:
        assert message in str(error.value)


def test_an_error_names_the_key_that_is_wrong_instead_of_a_reference_to_it() -> None:
    config = OmegaConf.create(
        {"prior": {"_target_": "frame_architectures.DiagonalNormal", "z_dim": -1}, "model": {"prior": "${prior}"}}
    )
    with pytest.raises(CompositionError, match=r"^`prior`"):
        Composition().instantiate(config.model)


BROKEN_MODULES = {
    "def f(:\n": "broken.py, line 1: SyntaxError: invalid syntax",
    "import os\nimport no_such_library\n": "broken.py, line 2: ModuleNotFoundError: No module named 'no_such_library'",
    "\nraise RuntimeError('no licence')\n": "broken.py, line 2: RuntimeError: no licence",
    "import json\njson.loads('')\n": "broken.py, line 2: JSONDecodeError: Expecting value: line 1 column 1 (char 0)",
    "import os\nos.nothing\n": "broken.py, line 2: AttributeError: module 'os' has no attribute 'nothing'",
    "import sys\nsys.exit(3)\n": "ends the program when it is imported",
}


@pytest.mark.parametrize(("text", "message"), BROKEN_MODULES.items(), ids=BROKEN_MODULES.values())
def test_a_module_that_fails_when_it_is_imported_is_named_with_file_line_and_error(
    text: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(CompositionError) as caught:
        build({"model": {"_target_": "broken.Model"}})
    assert message in str(caught.value)
    assert "`broken`" in str(caught.value)
    assert "there is no" not in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert caught.value.key == "model._target_"
