"""For any config, values equal those of Hydra, and each node becomes one object."""

import functools
from collections.abc import Iterator, Mapping
from typing import Any

from hydra.utils import instantiate as hydra_instantiate
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import DictConfig, ListConfig, OmegaConf

from frame_train.composition.objects import Composition


class Part:
    """Stores its arguments, and compares by them."""

    def __init__(self, *positional: Any, **named: Any) -> None:
        self.positional = positional
        self.named = named

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Part) and (self.positional, self.named) == (other.positional, other.named)

    __hash__ = None


TARGET = f"{Part.__module__}.{Part.__qualname__}"
NAMES = st.sampled_from(["x", "y", "z"])
PLAIN = st.none() | st.booleans() | st.integers(-5, 5) | st.floats(-1, 1) | st.text("ab", max_size=2)


@st.composite
def configs(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a config of a few named nodes, which may refer to earlier ones at any depth and repeatedly."""
    config: dict[str, Any] = {}
    for index in range(draw(st.integers(1, 5))):
        references = st.sampled_from([f"${{{name}}}" for name in config]) if config else st.nothing()
        leaves = PLAIN | references
        trees = st.recursive(leaves, lambda inner: _extend(inner), max_leaves=6)
        config[f"node_{index}"] = draw(_extend(trees) | references)
    return config


def _extend(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    mappings = st.dictionaries(NAMES, inner, max_size=3)
    positional = st.lists(inner, max_size=2)
    components = st.builds(
        lambda named, positional, partial: {
            "_target_": TARGET,
            **named,
            **({"_args_": positional} if positional else {}),
            **({"_partial_": True} if partial else {}),
        },
        mappings,
        positional,
        st.booleans(),
    )
    return st.lists(inner, max_size=3) | mappings | components


@settings(max_examples=25)
@given(configs())
def test_values_equal_those_of_hydra_for_any_config(content: dict[str, Any]) -> None:
    config = OmegaConf.create(content)
    ours = Composition().instantiate(config)
    theirs = hydra_instantiate(config, _convert_="all")
    assert make_plain(ours) == make_plain(theirs)


@settings(max_examples=25)
@given(configs())
def test_each_node_becomes_exactly_one_object(content: dict[str, Any]) -> None:
    config = OmegaConf.create(content)
    built = Composition().instantiate(config)
    nodes: dict[int, int] = {}
    objects: dict[int, int] = {}
    for node, value in iterate_pairs(config, built):
        assert nodes.setdefault(id(node), id(value)) == id(value)
        assert objects.setdefault(id(value), id(node)) == id(node)


@settings(max_examples=25)
@given(configs())
def test_each_reference_to_a_node_with_copy_is_a_new_object(content: dict[str, Any]) -> None:
    content["shared"] = {"_target_": TARGET, "x": content["node_0"], "_copy_": True}
    config = OmegaConf.create({**content, "pair": ["${shared}", "${shared}"]})
    first, second = Composition().instantiate(config.pair)
    assert first is not second
    assert make_plain(first) == make_plain(second)


def iterate_pairs(node: Any, value: Any) -> Iterator[tuple[Any, Any]]:
    """Iterate over the nodes of a config, following references, each with the object built from it."""
    if not isinstance(node, DictConfig | ListConfig):
        return
    yield node, value
    if isinstance(node, ListConfig):
        for index in range(len(node)):
            yield from iterate_pairs(node[index], value[index])
        return
    if isinstance(value, functools.partial):
        named, positional = value.keywords, value.args
    elif isinstance(value, Part):
        named, positional = value.named, value.positional
    else:
        named, positional = value, ()
    for name in node:
        if name == "_args_":
            for index in range(len(node["_args_"])):
                yield from iterate_pairs(node["_args_"][index], positional[index])
        elif not str(name).startswith("_"):
            yield from iterate_pairs(node[name], named[name])


def make_plain(value: Any) -> Any:
    """Convert a value to containers that compare by their contents."""
    if isinstance(value, functools.partial):
        return "partial", make_plain(list(value.args)), make_plain(value.keywords)
    if isinstance(value, Part):
        return "part", make_plain(list(value.positional)), make_plain(value.named)
    if isinstance(value, Mapping | DictConfig):
        return {str(name): make_plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple | ListConfig):
        return [make_plain(item) for item in value]
    return value
