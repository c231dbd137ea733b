"""Pages as single HTML files, which load no other file."""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from frame_loggers.files import replacing
from frame_train.report.charts import hash_script, read_scripts

if TYPE_CHECKING:
    from jinja2 import Environment

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""Control characters, which HTML does not allow; `cat report.html` would send them to the terminal."""


def write_page(path: Path, template: str, charts: Sequence[Mapping[str, Any]], **content: Any) -> None:
    """Write a page; it replaces an older one atomically.

    Args:
        path: The file.
        template: The name of a template in this folder.
        charts: The charts, made by `frame_train.report.charts.make_chart`.
        content: The other variables of the template.

    Raises:
        OSError: The page can't be written.
    """
    scripts = list(map(Markup, read_scripts()))
    page = (
        _make_environment()
        .get_template(template)
        .render(charts=charts, scripts=scripts, policy=" ".join(map(hash_script, scripts)), count=count, **content)
    )
    with replacing(path) as temporary:
        # JSON can contain half a character, a lone surrogate
        temporary.write_text(_CONTROL.sub("�", page), encoding="utf-8", errors="replace")


@cache
def _make_environment() -> "Environment":
    """Return the environment of the templates, which compiles each of them once."""
    from jinja2 import Environment, PackageLoader, StrictUndefined  # needed only at the end of a run

    return Environment(
        loader=PackageLoader("frame_train.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def count(number: int, thing: str) -> str:
    """Return a number with a noun, such as ``2 values``."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"
