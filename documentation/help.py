"""The real output of `--help` in the reference of the commands."""

import os
import re
import subprocess
import sys
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page

_PAGE = "reference/commands.md"
_COMMAND = re.compile(r"^```\n(.+ --help)\n```$", re.MULTILINE)


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Add the output of each command of the page below it."""
    if page.file.src_uri != _PAGE:
        return markdown
    return _COMMAND.sub(lambda match: f"{match[0]}\n\n```\n{run(match[1])}\n```", markdown)


def run(command: str) -> str:
    """Run a command of this environment, and return what it prints in a terminal of 100 columns."""
    name, *arguments = command.split()
    path = Path(sys.executable).parent / name
    environment = {**os.environ, "COLUMNS": "100"}
    return subprocess.run(
        [path, *arguments], env=environment, capture_output=True, text=True, check=True
    ).stdout.rstrip()
