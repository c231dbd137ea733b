"""The folders of users: public names alone, few lines, no mistakes, and short messages about mistakes."""

import ast
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from frame_train.composition.settings import workspace

HERE = Path(__file__).parent
FOLDERS = {path.parents[2].name: path for path in sorted(HERE.glob("*/config/experiment/*.yaml"))}
"""The experiment of each folder."""

DATA = {"decoded": ["params.folder=nowhere"], "sentences": ["params.path=nowhere"]}
GUIDE = workspace() / "docs" / "extending.md"

Command = Callable[..., Any]


@pytest.fixture
def copy(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the folder ``name``, whose code can be imported."""
    name = request.getfixturevalue("name")
    shutil.copytree(HERE / name, tmp_path, dirs_exist_ok=True)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for module in [module for module in sys.modules if module.partition(".")[0] == name]:
        del sys.modules[module]


def check(train: Command, name: str) -> Any:
    return train("--check", "--config-dir=config", f"+experiment={FOLDERS[name].stem}", *DATA.get(name, []))


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_uses_public_names_alone(name: str) -> None:
    files = list((HERE / name).rglob("*.py"))
    imports = [node for path in files for node in ast.walk(ast.parse(path.read_text()))]
    names = [
        f"{node.module}.{name.name}" for node in imports if isinstance(node, ast.ImportFrom) for name in node.names
    ]
    names += re.findall(r"_target_: ([\w.]+)", FOLDERS[name].read_text())
    ours = [name.rpartition(".") for name in names if name.startswith("frame_")]
    assert names
    for module, _, public in ours:
        assert public in import_module(module).__all__


def count_lines(folder: Path, pattern: str) -> int:
    """Count the lines of files that are neither blank nor a comment."""
    lines = [line.strip() for path in folder.rglob(pattern) for line in path.read_text().splitlines()]
    return sum(bool(line) and not line.startswith("#") for line in lines)


def test_the_guide_lists_the_folders_with_their_lines() -> None:
    rows = re.findall(r"\| \[`(\w+)`\]\(\.\./apps/train/tests/outside/\1\) \|.*\| (\d+) \| (\d+) \|", GUIDE.read_text())
    counts = {name: (count_lines(HERE / name, "*.py"), count_lines(HERE / name, "*.yaml")) for name in FOLDERS}
    assert {name: (int(python), int(yaml)) for name, python, yaml in rows} == counts


@pytest.mark.parametrize("name", [name for name in FOLDERS if name != "stripes"])
def test_a_folder_is_without_a_mistake(name: str, copy: Path, train: Command) -> None:
    result = check(train, name)
    assert "no mistakes" in result.output
    assert all(line.startswith("note: The data set of") for line in result.errors.splitlines())


MISTAKES = [
    ("iwae", "py", '"loss":', '"los":', ["must return a dictionary with the tensor `loss`, got 'los'"]),
    ("vqvae", "py", "Delta(codes.flatten(1), 1)", "codes.flatten(1)", ["must return a distribution, got a Tensor"]),
    (
        "vqvae",
        "py",
        "return p_x.sample() if sample_output else p_x.mean",
        "return p_x",
        ["must return a tensor"],
    ),
    ("vqvae", "py", "LogEntry(HISTOGRAM_ENTRY, torch.cat(codes))", "torch.cat(codes)", ["a `LogEntry`, got a Tensor"]),
    ("vqvae", "py", "straight_through.flatten(1)", "straight_through", ["`architectures.decoder`", "(2, 8, 4)"]),
    ("flow_matching", "py", ".square().sum(1).mean()", ".square().sum(1)", ["got shape (2,). Take its mean"]),
    ("simclr", "py", '["v1"]', '["view"]', ["KeyError: 'view' (", "simclr.py, line "]),
    ("conditional_vae", "py", "components(self", "component(self", ["it has no `compute_loss_components`"]),
    ("semi_supervised", "yaml", "  alpha: $", "  alpa: $", ["`model`", "`alpa`", "Did you mean `alpha`?"]),
    ("lagging", "py", "model.decoder", "model.encoder", ["`decoder.", "belong to no optimizer", "more than one"]),
    ("decoded", "yaml", "split: train", "spilt: train", ["`data.train`", "`spilt`", "Did you mean `split`?"]),
    ("sentences", "yaml", "2 epochs", "2 epocs", ["`beta.over`", "Did you mean `epochs`?"]),
]
"""A folder, its file, a correct text, a wrong one, and the message."""


@pytest.mark.parametrize(("name", "suffix", "correct", "wrong", "messages"), MISTAKES, ids=[row[3] for row in MISTAKES])
def test_a_mistake_in_a_folder_is_reported(
    name: str, suffix: str, correct: str, wrong: str, messages: list[str], copy: Path, train: Command
) -> None:
    (path,) = (path for path in copy.rglob(f"{name}.{suffix}"))
    text = path.read_text()
    assert correct in text
    path.write_text(text.replace(correct, wrong))
    result = check(train, name)
    assert result.code == 2
    assert "Traceback" not in result.errors
    for message in messages:
        assert message in result.errors


@pytest.mark.parametrize("name", ["vqvae"])
def test_a_tensor_that_torch_does_not_know_is_noticed(name: str, copy: Path, train: Command) -> None:
    path = copy / "vqvae.py"
    parameter = "nn.Parameter(torch.randn(n_codes, code_dim) / n_codes)"
    assert parameter in path.read_text()
    path.write_text(path.read_text().replace(parameter, "torch.randn(n_codes, code_dim)"))
    result = check(train, name)
    assert "`model.codebook` is not registered in the model, so it is neither trained nor saved" in result.errors
