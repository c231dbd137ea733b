"""The index of the methods: a table made of the page of each method, and of the measured results."""

import logging
import re
from dataclasses import dataclass

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

INDEX = "methods/index.md"
_INTRODUCTION = """\
# Methods

Each page has the formula of a method, its code in ten lines, the command that trains it, and its limits.
[Results](../results.md) has the seeds, the commits and the published numbers behind each measured value.

| method | paper | experiment | result | picture |
| --- | --- | --- | --- | --- |
"""
_log = logging.getLogger("mkdocs.hooks.methods")


@dataclass(frozen=True)
class Method:
    """What the page of a method says about it; a part that the page lacks is empty."""

    title: str
    paper: str
    experiment: str
    row: str
    picture: str

    def list_missing(self) -> list[str]:
        """Return the names of the parts that are empty. An option of a method has no row and no picture."""
        return [name for name in ("title", "paper", "experiment") if not getattr(self, name)]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the index of the methods."""
    pages = sorted(file.src_uri for file in files.documentation_pages() if file.src_uri.startswith("methods/"))
    results = read_results(_read(files, "results.md"))
    rows: list[str] = []
    for uri in pages:
        method = read_method(_read(files, uri))
        if missing := method.list_missing():
            _log.warning(f"docs/{uri} lacks {', '.join(missing)}; see docs/methods/vqvae.md.")
        rows.append(format_row(method, uri.removeprefix("methods/"), results))
    files.append(File.generated(config, INDEX, content=_INTRODUCTION + "\n".join(sorted(rows)) + "\n"))
    return files


def _read(files: Files, uri: str) -> str:
    file = files.get_file_from_path(uri)
    assert file is not None
    return file.content_string


def read_method(text: str) -> Method:
    """Read the first title, paper, experiment, measured row and picture of a page."""
    return Method(
        title=_find(r"^# (.+)$", text),
        paper=_find(r"(\[[^\]]+\d{4}\]\(https?://[^)]+\))", text),
        experiment=_find(r"\+experiment=(\w+)", text),
        row=_find(r"\]\(\.\./results\.md#(\w+)\)", text),
        picture=_find(r'<img src="\.\./images/([^"]+)"', text),
    )


def _find(pattern: str, text: str) -> str:
    match = re.search(pattern, text, re.MULTILINE)
    return match[1] if match else ""


def read_results(text: str) -> dict[str, str]:
    """Read the measured value of each row of `docs/results.md`, with its metric, by its anchor."""
    rows = re.findall(r"^\| \[`\w+`\]\(#(\w+)\) \| (.+?) \| (.+?) \|", text, re.MULTILINE)
    return {anchor: f"{metric}: {measured}" for anchor, metric, measured in rows}


def format_row(method: Method, uri: str, results: dict[str, str]) -> str:
    """Return the line of a method in the table."""
    image = f'<img src="../images/{method.picture}" alt="" width="120">' if method.picture else ""
    result = f"[{results.get(method.row, method.row)}](../results.md#{method.row})" if method.row else ""
    cells = (
        f"[{method.title}]({uri})",
        method.paper,
        f"`{method.experiment}`",
        result,
        image if method.picture else "",
    )
    return f"| {' | '.join(cells)} |"
