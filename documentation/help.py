"""The real output of `--help` in the reference of the commands."""

import os
import re
import subprocess
import sys
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page

_MARK = re.compile(r"<!-- output of `(.+)` -->")


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Replace each mark, such as ``<!-- output of `train --help` -->``, by the output of its command."""
    return _MARK.sub(lambda match: f"```\n{run(match[1])}\n```", markdown)


def run(command: str) -> str:
    """Run a command of this environment, and return what it prints in a terminal of 100 columns."""
    name, *arguments = command.split()
    path = Path(sys.executable).parent / name
    environment = {**os.environ, "COLUMNS": "100"}
    return subprocess.run(
        [path, *arguments], env=environment, capture_output=True, text=True, check=True
    ).stdout.rstrip()
