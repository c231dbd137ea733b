"""Pages of the site for files of the repository outside `docs/`.

The sources link to each other by relative paths, as GitHub shows them. On the site, a link to a file outside `docs/`
leads to a page with the content of that file. A link whose text is the path of a document shows its title.
"""

import logging
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from posixpath import dirname, join, normpath, relpath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
INCLUDED = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "packages/frame-core/README.md": "packages/frame-core.md",
    "packages/frame-models/README.md": "packages/frame-models.md",
    "packages/frame-architectures/README.md": "packages/frame-architectures.md",
    "packages/frame-eval/README.md": "packages/frame-eval.md",
    "packages/frame-loggers/README.md": "packages/frame-loggers.md",
    "apps/train/README.md": "packages/frame-train.md",
}
"""The documents outside `docs/` that are pages of the site, by their paths in the repository."""

_CODE = re.compile(r"(^ *```.*?^ *```$)", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"""(?<=\]\()[^)\s"]+|(?<=<img src=")[^"]+""")
_PATH_AS_TEXT = re.compile(r"\[([\w./-]+)\](?=\(([^)\s#]+))")
_LANGUAGES = {".py": "python", ".yaml": "yaml", ".yml": "yaml", ".md": "markdown", ".sbatch": "bash"}
_UNSEARCHED = "---\nsearch:\n  exclude: true\n---\n\n"
_log = logging.getLogger("mkdocs.hooks.links")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the included documents, and a page for each other file or folder that a document links to."""
    documents = {f"docs/{file.src_uri}": file.content_string for file in files.documentation_pages()}
    for path, uri in INCLUDED.items():
        documents[path] = (ROOT / path).read_text(encoding="utf-8")
        files.append(File.generated(config, uri, content=documents[path]))
    for path in sorted({path for name, text in documents.items() for path in _list_links(name, text)}):
        uri = find_page(path)
        if not path.startswith("docs/") and uri is not None and files.get_file_from_path(uri) is None:
            content = show_source(ROOT / path)
            files.append(File.generated(config, uri, content=content, inclusion=InclusionLevel.NOT_IN_NAV))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Rewrite the relative links of a page to the pages of the site."""
    uri = page.file.src_uri
    name = next((path for path, included in INCLUDED.items() if included == uri), f"docs/{uri}")
    return rewrite_links(markdown, name, uri) if (ROOT / name).is_file() else markdown


def rewrite_links(text: str, name: str, uri: str) -> str:
    """Rewrite the links of a document.

    Args:
        text: The document.
        name: Its path in the repository.
        uri: Its path in the sources of the site.
    """

    def rewrite(link: str) -> str:
        path, _, anchor = link.partition("#")
        target = find_page(normpath(join(dirname(name), path)))
        if target is None:
            _log.warning(f"{name} links to {link}, which does not exist.")
            return link
        return relpath(target, dirname(uri) or ".") + (f"#{anchor}" if anchor else "")

    return _map_links(_map_text(text, lambda part: _show_titles(part, name)), rewrite)


def _show_titles(text: str, name: str) -> str:
    """Replace the text of a link that is the path of a document by the title of the document."""

    def replace(match: re.Match[str]) -> str:
        path = normpath(join(dirname(name), match[2]))
        title = read_title(path) if match[1] in (path, match[2]) else ""
        return f"[{title}]" if title else match[0]

    return _PATH_AS_TEXT.sub(replace, text)


def read_title(path: str) -> str:
    """Return the title of a document of the repository; empty for other paths."""
    if path == "docs/methods":
        return "Methods"
    if not path.endswith(".md") or not (ROOT / path).is_file():
        return ""
    return (ROOT / path).read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")


def find_page(path: str) -> str | None:
    """Return the page or the image that shows a file or folder of the repository, or None if it does not exist."""
    if path == "docs/methods":
        return "methods/index.md"
    if path.startswith("docs/"):
        return path.removeprefix("docs/") if (ROOT / path).is_file() else None
    readme = f"{path}/README.md"
    if path in INCLUDED or readme in INCLUDED:
        return INCLUDED.get(path) or INCLUDED[readme]
    if path == "config" or path.startswith("config/"):
        return _find_config_page(path)
    if path.startswith("..") or not (ROOT / path).exists():
        return None
    return f"source/{path}.md"


def _find_config_page(path: str) -> str | None:
    """Return the page of the reference that describes a config file or a group."""
    if not (ROOT / path).exists():
        return None
    _, *parts = path.split("/")
    return f"reference/config/{parts[0].removesuffix('.yaml') if parts else 'index'}.md"


def show_source(path: Path) -> str:
    """Return a page with the text of a file, or of each file below a folder."""
    name = path.relative_to(ROOT).as_posix()
    title = f"{_UNSEARCHED}# {path.name}\n\n`{name}`\n"
    if path.is_file():
        return f"{title}\n{_fence(path)}"
    texts = [f"## {file.relative_to(path).as_posix()}\n\n{_fence(file)}" for file in _list_sources(path)]
    return "\n".join([title, *texts])


def _list_sources(folder: Path) -> Iterable[Path]:
    return (file for file in sorted(folder.rglob("*")) if file.is_file() and file.suffix in _LANGUAGES)


def _fence(path: Path) -> str:
    return f"````{_LANGUAGES.get(path.suffix, 'text')}\n{path.read_text(encoding='utf-8')}````\n"


def _list_links(name: str, text: str) -> list[str]:
    """Return the paths in the repository that a document links to."""
    links: list[str] = []

    def note(link: str) -> str:
        links.append(normpath(join(dirname(name), link.partition("#")[0])))
        return link

    _map_links(text, note)
    return links


def _map_links(text: str, function: Callable[[str], str]) -> str:
    """Apply a function to each relative link outside code blocks."""

    def replace(match: re.Match[str]) -> str:
        return match[0] if match[0].startswith("#") or "://" in match[0] else function(match[0])

    return _map_text(text, lambda part: _LINK.sub(replace, part))


def _map_text(text: str, function: Callable[[str], str]) -> str:
    """Apply a function to each part of a text outside code blocks."""
    return "".join(part if index % 2 else function(part) for index, part in enumerate(_CODE.split(text)))
