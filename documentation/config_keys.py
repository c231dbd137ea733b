"""The reference of the config keys: a page for each group of `config/`, made of its files and of the docstrings."""

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import griffe
import yaml
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
CONFIG = ROOT / "config"
FOLDER = "reference/config"
PACKAGES = [*sorted(ROOT.glob("packages/*/src")), ROOT / "apps" / "train" / "src"]

_INTRODUCTION = """\
# Config keys

A config is composed of a file of each group. Choose a file with `group=FILE` on the command line, or in the `defaults`
of an experiment. Set a value with `key=value`. Each page lists the files of a group with their keys and values, and
says what each key means.

| group | content | files |
| --- | --- | --- |
"""
GROUPS = {
    "train": "Settings of every run.",
    "evaluate": "Settings of `evaluate`.",
    "experiment": "Experiments, each with a choice of every other group.",
    "data": "Data sets, with a key for each split.",
    "architectures": "Networks and priors, which the model receives.",
    "model": "Methods: the losses.",
    "optimization": "Procedures that update the model.",
    "evaluation": "Evaluations during and after training, with their intervals.",
    "callbacks": "Callbacks of Lightning, such as checkpoints and early stopping.",
    "logging": "Loggers, in addition to the files of the run directory.",
    "device": "Settings of a machine: folders, accelerator, data-loading workers.",
    "debug": "Changes for a quick try, for overfitting a few examples, and for profiling.",
}
"""The groups of config files, and the two files outside any group, each with a sentence."""

_log = logging.getLogger("mkdocs.hooks.config_keys")


@dataclass(frozen=True)
class Key:
    """A key of a config file.

    Args:
        path: The keys above it, and the key or, for an item of a list, a hyphen.
        value: The text of the value; empty for a mapping or a list with a line for each entry.
        comment: The comment behind the value.
        parent: The nearest class above it, or the class itself for `_target_`; empty without one.
    """

    path: tuple[str, ...]
    value: str
    comment: str
    parent: str


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for each group, one for the settings of each command, and an index."""
    docstrings = Docstrings()
    if missing := {path.stem for path in CONFIG.iterdir()} - set(GROUPS):
        _log.warning(f"documentation/config_keys.py describes no group {', '.join(sorted(missing))}.")
    rows: list[str] = []
    for group, description in GROUPS.items():
        paths = sorted((CONFIG / group).rglob("*.yaml")) or [CONFIG / f"{group}.yaml"]
        files.append(File.generated(config, f"{FOLDER}/{group}.md", content=format_page(group, paths, docstrings)))
        links = [f"[`{get_name(path)}`]({group}.md#{get_anchor(path)})" for path in paths] if len(paths) > 1 else []
        rows.append(f"| [`{group}`]({group}.md) | {description} | {', '.join(links)} |")
    files.append(File.generated(config, f"{FOLDER}/index.md", content=_INTRODUCTION + "\n".join(rows) + "\n"))
    return files


def get_name(path: Path) -> str:
    """Return the name by which a file is chosen: with its folder, if it is in a group inside a group."""
    parts = path.relative_to(CONFIG).with_suffix("").parts
    return "/".join(parts[1:]) if len(parts) > 1 else parts[0]


def get_anchor(path: Path) -> str:
    """Return the anchor of a file on the page of its group."""
    return get_name(path).replace("/", "-").lower()


def format_page(group: str, paths: Sequence[Path], docstrings: "Docstrings") -> str:
    """Return the page of a group."""
    sections = [_format_file(path, docstrings, has_title=len(paths) > 1) for path in paths]
    return f"# Config keys: {group}\n\n{GROUPS[group]}\n\n" + "\n".join(sections)


def _format_file(path: Path, docstrings: "Docstrings", has_title: bool) -> str:
    text = path.read_text(encoding="utf-8")
    name = path.relative_to(ROOT).as_posix()
    rows = [_format_key(key, docstrings) for key in read_keys(text)]
    table = "\n".join(["| key | meaning |", "| --- | --- |", *rows])
    title = f"## {get_name(path)} {{ #{get_anchor(path)} }}\n\n" if has_title else ""
    description = f"{_link(read_description(text))}\n\n" if has_title else ""
    return f"{title}{description}`{name}`\n\n{table}\n"


def _format_key(key: Key, docstrings: "Docstrings") -> str:
    """Return the row of a key: a line of YAML, with its indentation, and its meaning."""
    *above, name = key.path
    line = f"{'  ' * len(above)}{name}{' ' if name == '-' else ': '}{key.value}".rstrip()
    meaning = _link(key.comment)
    if above == ["defaults"]:
        meaning = meaning or _link_default(key.value)
    if name == "_target_" and docstrings.knows(key.value):
        link = f"[{key.value.rpartition('.')[2]}][{key.value}]"
        meaning = f"{link}: {meaning or docstrings.summarize(key.value)}"
    elif key.parent:
        meaning = meaning or docstrings.describe(key.parent, name)
    code = escape(line).replace("|", "&#124;").replace("_", "&#95;")
    return f'| <code class="yaml">{code}</code> | {meaning.replace("|", "&#124;")} |'


def _link_default(default: str) -> str:
    """Return links to the files that an entry of `defaults` chooses."""
    group, names = (re.sub(r"^override |^/|@\w+$", "", part) for part in f"experiment: {default}".split(": ")[-2:])
    links = (_find_file(f"{group}/{name}") for name in re.findall(r"\w+", names))
    return ", ".join(link for link in links if link)


def _find_file(name: str) -> str:
    path = CONFIG / f"{name}.yaml"
    return f"[{get_name(path)}]({name.partition('/')[0]}.md#{get_anchor(path)})" if path.is_file() else ""


def _link(text: str) -> str:
    """Turn the names of pages in a comment into links, and a command at its end into code."""
    text = re.sub(r"`?(uv run [^`]+?)`?$", r"`\1`", text)
    return re.sub(r"docs/(\w+)\.md", r"[\1.md](../../\1.md)", text)


def read_description(text: str) -> str:
    """Return the comment at the top of a config file. A command at the end of a line is code."""
    lines = [line for line in text.splitlines() if not re.match(r"# (@package|yaml-language-server)", line)]
    comment = re.match(r"(?:#.*\n?)*", "\n".join(lines))
    written = "\n".join(line.removeprefix("#").strip() for line in comment[0].splitlines()) if comment else ""
    return re.sub(r"(?<=: )(uv run .+)\n", r"`\1`. ", written).replace("\n", " ")


def read_keys(text: str) -> list[Key]:
    """Read the keys of a config file in their order. Settings of Hydra are left out."""
    node = yaml.compose(text, yaml.SafeLoader)
    if not isinstance(node, yaml.MappingNode):
        return []
    return [key for key in _walk(node, text, (), "") if key.path[0] != "hydra"]


def _walk(node: yaml.MappingNode, text: str, above: tuple[str, ...], parent: str) -> Iterator[Key]:
    lines = text.splitlines()
    parent = next((value.value for key, value in node.value if key.value == "_target_"), parent)
    for key, value in node.value:
        path = (*above, key.value)
        if not isinstance(value, yaml.CollectionNode) or value.flow_style:
            yield Key(path, _read_value(value, text), _read_comment(_read_behind(value, lines)), parent)
            continue
        yield Key(path, "", _read_comment(lines[key.start_mark.line][key.end_mark.column :]), parent)
        if isinstance(value, yaml.MappingNode):
            yield from _walk(value, text, path, parent)
        else:
            for item in value.value:
                comment = _read_comment(lines[item.start_mark.line])
                yield Key((*path, "-"), _read_value(item, text), comment, "")


def _read_value(node: yaml.Node, text: str) -> str:
    """Return the text of a value in one line, without the comments inside it."""
    written = text[node.start_mark.index : node.end_mark.index]
    if isinstance(node, yaml.ScalarNode):
        return " ".join(written.split())
    lines = written.splitlines()
    return " ".join(re.sub(r"(^|\s)#.*", "", line).strip() for line in lines).strip()


def _read_comment(text: str) -> str:
    comment = re.search(r"(?:^|\s)#\s*(.*)", text)
    return comment[1] if comment else ""


def _read_behind(value: yaml.Node, lines: Sequence[str]) -> str:
    """Return what follows a value on its last line."""
    end = value.end_mark
    return lines[end.line][end.column :] if end.line < len(lines) else ""


class Docstrings:
    """The docstrings of the classes of this project, read without importing them."""

    def __init__(self) -> None:
        names = [path.name for folder in PACKAGES for path in folder.iterdir() if (path / "__init__.py").is_file()]
        self._loader = griffe.GriffeLoader(
            search_paths=[str(folder) for folder in PACKAGES], docstring_parser=griffe.Parser.google
        )
        for name in names:
            self._loader.load(name)
        self._loader.resolve_aliases(external=False)
        self._packages = set(names)

    def knows(self, target: str) -> bool:
        """Return whether a dotted name is a class or function of this project."""
        return target.partition(".")[0] in self._packages

    def summarize(self, target: str) -> str:
        """Return the first sentence of the docstring of a target."""
        docstring = self._find(target).docstring
        return " ".join(docstring.value.partition("\n\n")[0].split()) if docstring else ""

    def describe(self, target: str, argument: str) -> str:
        """Return the description of an argument in the docstring of a target, or of a class it derives from."""
        if not self.knows(target):
            return ""
        found = self._find(target)
        classes = [found, *found.mro()] if isinstance(found, griffe.Class) else [found]
        return next((arguments[argument] for each in classes if argument in (arguments := _read_arguments(each))), "")

    def _find(self, target: str) -> griffe.Object:
        found = self._loader.modules_collection[target]
        return found.final_target if isinstance(found, griffe.Alias) else found


def _read_arguments(found: griffe.Object) -> Mapping[str, str]:
    docstring = found.docstring
    sections = docstring.parse("google", warnings=False) if docstring else []
    return {
        parameter.name: " ".join(parameter.description.split())
        for section in sections
        if section.kind is griffe.DocstringSectionKind.parameters
        for parameter in section.value
    }
