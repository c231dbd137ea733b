"""Links from the names of classes and functions in the text of a page to the reference of the API."""

import re

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page

_CODE_BLOCK = re.compile(r"(^ *```.*?^ *```$)", re.MULTILINE | re.DOTALL)
_NAME = re.compile(r"(?<!\[)`((frame_(?:core|models|architectures|eval|loggers|train)(?:\.\w+)+)(?:\([^`]*\))?)`(?!\])")


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Make a link of each name that the reference documents. Titles, code and sources are left as they are."""
    if page.file.src_uri.startswith("source/"):
        return markdown
    parts = _CODE_BLOCK.split(markdown)
    return "".join(part if index % 2 else link_names(part) for index, part in enumerate(parts))


def link_names(text: str) -> str:
    """Mark the names of this project as optional references, which are links where the reference has the name."""
    lines = (line if line.startswith("#") else _NAME.sub(_mark, line) for line in text.splitlines(keepends=True))
    return "".join(lines)


def _mark(match: re.Match[str]) -> str:
    return f'<autoref optional identifier="{match[2]}">{match[0]}</autoref>'
