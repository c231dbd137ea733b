"""Restricted interpolations of foreign configs, which can't read from this machine."""

from collections.abc import Collection
from typing import Any, cast

from omegaconf import Container, DictConfig, Node, OmegaConf
from omegaconf.grammar_parser import parse
from omegaconf.resolvers.oc import decode

from frame_train.composition.settings import register_resolver

_RESOLVER = "frame.foreign"
_HARMLESS = frozenset({"oc.select", _RESOLVER})


def restrict_interpolations(config: DictConfig, allowed: Collection[str] = ()) -> DictConfig:
    """Return a config that calls no resolver of this process, so that it reads neither variables nor files.

    ``${oc.env:NAME,default}`` is the default, and ``${oc.decode:…}`` decodes plain values. Any other resolver raises an
    error on use, because it may be the user's own, such as one that evaluates Python.

    Args:
        config: A config without resolved interpolations.
        allowed: Names of resolvers that it may call.
    """
    register_resolver(_RESOLVER, _resolve)
    written = cast(dict[str, Any], OmegaConf.to_container(config, resolve=False))
    return OmegaConf.create({name: _restrict(value, _HARMLESS.union(allowed)) for name, value in written.items()})


def escape(text: str) -> str:
    """Escape the interpolations in a text, so that a config contains the text unchanged."""
    return text.replace("${", "\\${")


def _restrict(value: Any, allowed: Collection[str]) -> Any:
    if isinstance(value, dict):
        return {name: _restrict(child, allowed) for name, child in cast(dict[Any, Any], value).items()}
    if isinstance(value, list):
        return [_restrict(child, allowed) for child in cast(list[Any], value)]
    return _rewrite(parse(value), allowed) if isinstance(value, str) and "${" in value else value


def _rewrite(tree: Any, allowed: Collection[str]) -> str:
    """Return the text of a parse tree, with our resolver in place of resolvers that are not allowed."""
    children = getattr(tree, "children", None)
    if children is None:
        return "" if tree.symbol.type < 0 else tree.getText()  # the end of the text is also a token
    parts = [_rewrite(child, allowed) for child in children]
    if type(tree).__name__ == "InterpolationResolverContext":
        opening, name, colon, *arguments, closing = parts
        if name not in allowed:
            name = "computed" if "$" in name else name
            return "".join([opening, _RESOLVER, colon, ",".join([name, *arguments]), closing])
    return "".join(parts)


def _resolve(name: Any, *arguments: Any, _parent_: Container, _node_: Node) -> Any:
    """Resolve ``${<name>:<arguments>}`` of a foreign config.

    Raises:
        ValueError: It would read an environment variable, or call a resolver of the user.
    """
    match name, *arguments:
        case "oc.env", _, default:
            return None if default is None else str(default)
        case "oc.env", *_:
            raise ValueError(f"a foreign config can't read the environment variable {arguments[0]!r}")
        case "oc.decode", None | str() as text if "$" not in (text or ""):
            return decode(text, _parent_, _node_)
        case _:
            raise ValueError(f"a foreign config can't call the resolver `{name}`; if you trust it, `allow=[{name}]`")
