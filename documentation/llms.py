"""The file `llms.txt` of the site: a list of its pages for language models, as https://llmstxt.org describes it."""

import html
import logging
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure import StructureItem
from mkdocs.structure.files import Files
from mkdocs.structure.nav import Navigation, Section
from mkdocs.structure.pages import Page

_log = logging.getLogger("mkdocs.hooks.llms")
_items: list[StructureItem] = []
_sentences: dict[str, str] = {}


def on_nav(nav: Navigation, config: MkDocsConfig, files: Files) -> Navigation:
    """Keep the navigation until the pages are built."""
    _items[:] = nav.items
    return nav


def on_page_content(content: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Keep the first sentence of a page."""
    _sentences[page.url] = find_sentence(content)
    if not _sentences[page.url]:
        _log.warning(f"{page.file.src_uri} needs a paragraph that says what it is for.")
    return content


def on_post_build(config: MkDocsConfig) -> None:
    """Write the file."""
    lines = [f"# {config.site_name}", "", f"> {config.site_description}", *format_items(_items)]
    (Path(config.site_dir) / "llms.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def format_items(items: Sequence[StructureItem]) -> Iterator[str]:
    """Return a section for each part of the navigation, and a line for each page."""
    for item in items:
        yield from ("", f"## {item.title}", "")
        pages = _list_pages(item.children or []) if isinstance(item, Section) else [item]
        yield from (f"- [{page.title}]({page.url}): {_sentences[page.url]}" for page in pages if isinstance(page, Page))


def _list_pages(items: Sequence[StructureItem]) -> Iterator[StructureItem]:
    for item in items:
        yield from _list_pages(item.children or []) if isinstance(item, Section) else [item]


def find_sentence(content: str) -> str:
    """Return the first sentence of the first paragraph of a page, without its markup; empty without one."""
    paragraph = re.search(r"<p>(.*?)</p>", content, re.DOTALL)
    if paragraph is None:
        return ""
    text = " ".join(html.unescape(re.sub(r"<[^>]+>", "", paragraph[1])).split())
    return re.split(r"(?<=\.) |(?<=:) (?=[A-Z])", text)[0].removesuffix(":").removesuffix(".") + "."
