"""HTML and SVG in which whatever is not markup by its type is escaped."""

from html import escape

_VOID = frozenset({"meta", "img"})


class Markup(str):
    """Text that is markup already, and is not escaped again."""

    __slots__ = ()


def element(tag: str, /, *children: str, **attributes: str | float) -> Markup:
    """Give an element; children are escaped unless they are `Markup`, attributes always.

    A trailing underscore of an attribute's name falls away, another becomes a hyphen.

    >>> element("p", "a < b", class_="note")
    '<p class="note">a &lt; b</p>'
    """
    written = "".join(f' {_attribute(name)}="{escape(str(value))}"' for name, value in attributes.items())
    return Markup(f"<{tag}{written}>" if tag in _VOID else f"<{tag}{written}>{join(*children)}</{tag}>")


def join(*children: str) -> Markup:
    """Give pieces one after another, escaped unless they are `Markup`."""
    return Markup("".join(child if isinstance(child, Markup) else escape(child) for child in children))


def _attribute(name: str) -> str:
    return name.rstrip("_").replace("_", "-")
