"""Pages of the documentation, followed as a reader would: files are written, commands run, and Python is executed."""

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest

from frame_train.composition.settings import workspace

Command = Callable[..., Any]

DOCS = workspace() / "docs"
_BLOCK = re.compile(r'^```(\w*)(?: title="([^"]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)
_WORD = re.compile(r"[A-Za-z_/.]{2,}")


@dataclass(frozen=True)
class Block:
    """A code block. One without a language has commands, one of the language ``text`` has what they print."""

    language: str
    title: str
    text: str


def read_blocks(page: Path) -> list[Block]:
    """Read the code blocks of a page, in order."""
    return [Block(*match) for match in _BLOCK.findall(page.read_text(encoding="utf-8"))]


def write_files(page: Path, folder: Path) -> None:
    """Write each block with a title to the file of that name; blocks of one title are joined."""
    files: dict[str, list[str]] = {}
    for block in read_blocks(page):
        if block.title:
            files.setdefault(block.title, []).append(block.text)
    for name, texts in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n\n".join(texts))


@dataclass
class Reader:
    """A reader who follows a page from top to bottom.

    Args:
        folder: Folder in which the reader works.
        commands: The functions that run `train`, `evaluate` and `runs`.
        capture: Captures what the Python blocks print.
        additions: Overrides that this test adds to each training, so that it ends soon.
    """

    QUIET: ClassVar = ("--cfg", "--check", "--copy", "--list")  # flags of commands that train nothing

    folder: Path
    commands: Mapping[str, Command]
    capture: pytest.CaptureFixture[str]
    additions: Sequence[str] = ()
    names: dict[str, Any] = field(default_factory=dict)
    output: str = ""

    def follow(self, page: Path) -> None:
        """Write the files, run the commands and the Python blocks, and compare each output with the printed one.

        Numbers and the frames of tables differ between machines, so only the words of an output are compared.
        """
        write_files(page, self.folder)
        blocks = read_blocks(page)
        for block, following in zip(blocks, [*blocks[1:], None]):
            if block.language == "text":
                missing = set(_WORD.findall(block.text)) - set(_WORD.findall(self.output))
                assert not missing, (missing, self.output)
            elif block.language == "python" and not block.title:
                exec(self.insert_times(block.text), self.names)
                self.output = self.capture.readouterr().out
            elif not block.language:
                code = 2 if following is not None and following.text.startswith("error:") else 0
                self.output = "".join(self.run(line, code) for line in block.text.replace("\\\n", "").splitlines())

    def run(self, line: str, code: int = 0) -> str:
        """Run a command line in this process, check its exit code, and return what it prints."""
        name, *arguments = shlex.split(self.insert_times(line).removeprefix("uv run "), comments=True)
        added = self.additions if name == "train" and arguments[0] not in self.QUIET else ()
        result = self.commands[name](*arguments, *added)
        assert result.code == code, (line, result)
        return (result.output + result.errors).replace(f"{self.folder}/", "")

    def insert_times(self, text: str) -> str:
        """Replace the time in the path of each run by that of the run in the reader's folder."""

        def find(match: re.Match[str]) -> str:
            (run,) = (self.folder / match[1]).iterdir()
            return str(run.relative_to(self.folder))

        return re.sub(r"((?:my_)?runs/\w+/\w+)/[\d_-]{19}", find, text)
