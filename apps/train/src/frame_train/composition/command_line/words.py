"""Words of a command line that are not overrides, and what was probably meant."""

import re
from collections.abc import Sequence
from pathlib import Path

from frame_train.composition.options import find_groups, read_options
from frame_train.composition.settings import config_directory
from frame_train.errors import CompositionError, find_nearest

_DASHES = "\u2010-\u2015\u2212"  # hyphens, en and em dash, minus
_FLAGS = ("help", "list", "check", "check-all", "search", "copy", "version", "traceback")


def check_words(words: Sequence[str], folders: Sequence[Path], command: str = "train") -> None:
    """Check that each word of a command line, without its flags, has the form of an override.

    Args:
        words: The words, in their order.
        folders: The config folders; an earlier one takes precedence.
        command: The command, `train` or `evaluate`.

    Raises:
        CompositionError: A word is not an override. The message shows the argument that was probably meant.
    """
    for index, word in enumerate(words):
        before, after = words[:index], words[index + 1 :]
        if not word.strip(" \\"):
            raise CompositionError(f"`{word}` is not an argument. Remove the space after `\\` at the end of a line.")
        _check_dashes(word)
        _check_spaces(word, after)
        if re.match(r"~|.*=", word, flags=re.DOTALL) is None:
            advice = _advise(word, before, after, folders, command)
            raise CompositionError(f"`{word}` must be `key=value`. {advice}")


def _check_dashes(word: str) -> None:
    """Refuse characters that look like a minus sign, which editors and web pages put in its place."""
    match = re.match(rf"([{_DASHES}]+)(.+)", word) or re.search(rf"=([{_DASHES}])(?=\s*[.\d])", word)
    if match is None:
        return
    dashes = match[1]
    if match.start() > 0:
        meant = word.replace(dashes, "-", 1)
    else:
        meant = match[2] if "=" in match[2] else f"{'-' if len(match[2]) == 1 else '--'}{match[2].lstrip('-')}"
    raise CompositionError(f"`{word}`: the dash {dashes[0]!r} is not a minus sign. Write `{meant}`.")


def _check_spaces(word: str, after: Sequence[str]) -> None:
    """Refuse an argument that the shell has split at spaces: beside `=`, or in brackets."""
    following = after[0] if after else ""
    if following.startswith("=") or (word.endswith("=") and following and "=" not in following):
        parts = after[:2] if following == "=" else after[:1]
        message = f"`{' '.join([word, *parts])}`: write no spaces around `=`: `{''.join([word, *parts])}`."
        raise CompositionError(message)
    if "=" not in word or not following or _count_open(word) <= 0:
        return
    for length in range(1, len(after) + 1):
        text = " ".join([word, *after[:length]])
        if _count_open(text) == 0:
            raise CompositionError(f"`{text}`: a value with spaces must be in quotes. Write `'{text}'`.")


def _count_open(text: str) -> int:
    """Return the number of brackets that a text opens and does not close."""
    return len(re.findall(r"[\[{(]", text)) - len(re.findall(r"[\]})]", text))


def _advise(word: str, before: Sequence[str], after: Sequence[str], folders: Sequence[Path], command: str) -> str:
    """Return what to write in place of a word without `=`."""
    if word.lower() in _FLAGS:
        return f"Did you mean `--{word.lower()}`?"
    if match := re.fullmatch(r"([\w.]+):(\S+)", word):
        return f"Did you mean `{match[1]}={match[2]}`?"
    is_key = re.fullmatch(r"\+*\w+(\.\w+)*", word) is not None
    if is_key and after and "=" not in after[0] and ("." in word or _is_group(word, folders)):
        return f"Did you mean `{word}={after[0]}`?"
    if command == "evaluate":
        return f"Did you mean `run={word}`?"
    if (Path(word) / "run.json").is_file():
        return f"Did you mean `resume={word}`?"
    path = Path(word)
    experiment = find_nearest(path.stem, read_options("experiment", folders))
    if path.suffix in (".yaml", ".yml") and path.parent.name == "experiment" and not _is_ours(path):
        return f"Did you mean `--config-dir={path.parent.parent} +experiment={path.stem}`?"
    if experiment is not None:
        return f"Did you mean `+experiment={experiment}`?"
    if before and not (is_key and "." in word):
        return f'Write a value with spaces in quotes: "{before[-1]} {word}".'
    return f"`{word}=...` sets a key; `--help` shows examples."


def _is_group(word: str, folders: Sequence[Path]) -> bool:
    return word.lstrip("+") in find_groups(folders)


def _is_ours(path: Path) -> bool:
    return (config_directory() / "experiment" / path.name).is_file()
