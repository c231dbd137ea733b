"""The flag `--copy`: an experiment and the options that it refers to, as files of the user's own."""

import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from frame_train.composition.options import read_options
from frame_train.console import print_notice
from frame_train.errors import CompositionError, suggest

_PREFIX = "my_"  # Hydra would choose the shipped option of the same name
_ENTRY = re.compile(
    r"^(  - (?:(?:override|optional) )*)(?:/?([\w/]+)(@[\w.]+)?: *)?(\[[^\]]*\]|[\w.]+)(?=\s|$)", re.MULTILINE
)


def copy_experiment(name: str, folder: Path, sources: list[Path]) -> None:
    """Copy an experiment and all options that it refers to, each with the prefix ``my_``, and print its command.

    Args:
        name: The experiment.
        folder: The config folder that receives the copies.
        sources: The config folders; an earlier one takes precedence.

    Raises:
        CompositionError: There is no such experiment, or a copy exists.
    """
    options = read_options("experiment", sources)
    if name not in options:
        raise CompositionError(f"There is no experiment `{name}`.{suggest(name, options)}")
    texts: dict[Path, str] = {}
    _collect("experiment", name, sources, texts)
    existing = [str(folder / path) for path in texts if os.path.lexists(folder / path)]
    if existing:
        raise CompositionError(f"`--copy`: {existing[0]!r} exists. Remove it, or name another folder.")
    command = f"+experiment={_PREFIX}{name} --config-dir={shlex.quote(str(folder))}"
    try:
        for path, text in texts.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text.replace(f"+experiment={name}", command), encoding="utf-8")
            print_notice(f"copied to {folder / path}")
    except OSError as error:
        raise CompositionError(f"`--copy`: {str(error.filename)!r} can't be written: {error.strerror}.") from error
    print_notice(f"`train {command}` trains the copy.")
    schema = f"--config-dir={shlex.quote(str(folder))} > {shlex.quote(str(folder / 'schema.json'))}"
    print_notice(f"`train --schema {schema}` lets an editor complete it.")


def _collect(group: str, name: str, sources: list[Path], texts: dict[Path, str]) -> None:
    """Add the copy of an option, and of the options in its defaults list, by their paths in a config folder."""
    path = Path(group, f"{_PREFIX}{name}.yaml")
    if path in texts:
        return
    text = next(_iterate_files(group, name, sources)).read_text(encoding="utf-8")
    head, defaults, body = _split(text)
    texts[path] = head + _ENTRY.sub(lambda entry: _rename(entry, group, sources), defaults) + body
    for other_group, other in _iterate_entries(defaults, group):
        if any(_iterate_files(other_group, other, sources)):
            _collect(other_group, other, sources, texts)


def _iterate_files(group: str, name: str, sources: list[Path]) -> Iterator[Path]:
    """Yield the files of an option, which has none if it is one of Hydra's own or `optional`."""
    yield from filter(Path.is_file, (source / group / f"{name}.yaml" for source in sources))


def _split(text: str) -> tuple[str, str, str]:
    """Split a config file into the lines before its defaults list, the list, and the lines after it."""
    match = re.search(r"^defaults:\n(  .*\n|#.*\n)*", text, re.MULTILINE)
    return (text, "", "") if match is None else (text[: match.start()], match[0], text[match.end() :])


def _iterate_entries(defaults: str, group: str) -> Iterator[tuple[str, str]]:
    for _, other_group, _, names in _ENTRY.findall(defaults):
        for name in re.findall(r"[\w.]+", names):
            if name not in ("_self_", "null"):
                yield other_group or group, name


def _rename(entry: re.Match[str], group: str, sources: list[Path]) -> str:
    start, other_group, package, names = entry.groups()

    def rename(name: re.Match[str]) -> str:
        return _PREFIX + name[0] if any(_iterate_files(other_group or group, name[0], sources)) else name[0]

    renamed = re.sub(r"[\w.]+", rename, names)
    return f"{start}{'' if other_group is None else f'/{other_group}{package or str()}: '}{renamed}"
