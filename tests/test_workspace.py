"""Rules for every member of the workspace, and for the commands that check it."""

import os
import re
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[1]


def read_toml(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Member:
    path: Path

    @property
    def project(self) -> dict[str, Any]:
        return read_toml(self.path / "pyproject.toml")["project"]

    @property
    def import_name(self) -> str:
        return self.project["name"].replace("-", "_")

    @property
    def requirements(self) -> list[Requirement]:
        extras = self.project.get("optional-dependencies", {}).values()
        return [Requirement(line) for lines in (self.project["dependencies"], *extras) for line in lines]


WORKSPACE = read_toml(ROOT / "pyproject.toml")
MEMBERS = {
    path.parent.name: Member(path.parent)
    for pattern in WORKSPACE["tool"]["uv"]["workspace"]["members"]
    for path in sorted(ROOT.glob(f"{pattern}/pyproject.toml"))
}
PROJECTS = {member.project["name"]: member.project for member in MEMBERS.values()}
each_member = pytest.mark.parametrize("member", MEMBERS.values(), ids=MEMBERS)


# Members


def test_the_workspace_has_the_expected_members() -> None:
    assert set(PROJECTS) == {
        "frame-core",
        "frame-models",
        "frame-architectures",
        "frame-eval",
        "frame-loggers",
        "frame-train",
    }


@each_member
def test_every_member_is_a_complete_package(member: Member) -> None:
    assert Version(member.project["version"])
    assert member.project["requires-python"] == WORKSPACE["project"]["requires-python"] == ">=3.11"
    assert member.project["license"] == WORKSPACE["project"]["license"] == "MIT"
    assert member.project["description"].endswith(".")
    assert (member.path / "src" / member.import_name / "py.typed").is_file()
    assert list(member.path.glob("tests/test_*.py"))


@each_member
def test_every_member_has_a_readme_with_more_than_a_title(member: Member) -> None:
    assert member.project["readme"] == "README.md"
    title, *rest = (member.path / "README.md").read_text(encoding="utf-8").splitlines()
    assert title == f"# {member.project['name']}"
    assert any(rest)


@each_member
def test_the_changelog_has_an_entry_for_the_version(member: Member) -> None:
    changelog = (member.path / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## \[{re.escape(member.project['version'])}\]", changelog, re.MULTILINE)


@each_member
def test_the_tests_of_a_member_are_not_a_package(member: Member) -> None:
    assert not list(member.path.glob("tests/**/__init__.py"))


@each_member
def test_bounds_on_siblings_admit_their_versions(member: Member) -> None:
    for requirement in member.requirements:
        if requirement.name in PROJECTS:
            assert requirement.specifier.contains(PROJECTS[requirement.name]["version"]), str(requirement)


@each_member
def test_every_requirement_has_a_lower_and_an_upper_bound(member: Member) -> None:
    for requirement in member.requirements:
        assert {specifier.operator for specifier in requirement.specifier} == {">=", "<"}, str(requirement)


@each_member
def test_the_required_extras_of_siblings_exist(member: Member) -> None:
    for requirement in member.requirements:
        if requirement.name in PROJECTS:
            assert requirement.extras <= set(PROJECTS[requirement.name].get("optional-dependencies", {}))


# The workspace


def test_the_workspace_requires_the_app_and_resolves_every_member_locally() -> None:
    assert WORKSPACE["project"]["dependencies"] == ["frame-train"]
    sources = WORKSPACE["tool"]["uv"]["sources"]
    assert sources == {name: {"workspace": True} for name in PROJECTS}


def test_compromised_lightning_releases_are_excluded() -> None:
    for member in MEMBERS.values():
        for requirement in member.requirements:
            if requirement.name == "pytorch-lightning":
                assert not list(requirement.specifier.filter(["2.6.2", "2.6.3"]))


def test_every_member_is_in_the_import_contracts() -> None:
    settings = WORKSPACE["tool"]["importlinter"]
    layers = next(contract["layers"] for contract in settings["contracts"] if contract["type"] == "layers")
    names = {member.import_name for member in MEMBERS.values()}
    assert set(settings["root_packages"]) == names
    assert {name for layer in layers for name in layer.split(" | ")} == names


def test_the_contract_inside_the_app_covers_every_module_and_the_architecture_page_names_each() -> None:
    (contract,) = (contract for contract in WORKSPACE["tool"]["importlinter"]["contracts"] if "containers" in contract)
    assert contract["exhaustive"]
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    names = {name for layer in contract["layers"] for name in re.split(r" [|:] ", layer)} - {"__main__"}
    assert {name for name in names if f"{name}/ " not in page and f"{name}.py" not in page} == set()


def test_every_test_file_that_the_reliability_page_names_exists() -> None:
    page = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    folders = [ROOT / "apps" / "train" / "tests", *ROOT.glob("packages/*/tests")]
    names = re.findall(r"`((?:\w+/)?test_\w+\.py)`", page)
    assert len(names) > 20
    assert {name for name in names if not any((folder / name).is_file() for folder in folders)} == set()


def test_no_folder_of_the_app_holds_more_than_a_dozen_modules() -> None:
    package = ROOT / "apps" / "train" / "src" / "frame_train"
    counts = {folder.name: len(list(folder.glob("[!_]*.py"))) for folder in (package, *package.iterdir())}
    assert {name: count for name, count in counts.items() if count > 12} == {}


def test_every_member_is_type_checked() -> None:
    included = {ROOT / path for path in WORKSPACE["tool"]["pyright"]["include"]}
    assert included == {member.path / "src" for member in MEMBERS.values()}


def test_the_architecture_page_names_every_member() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert {name for name in PROJECTS if name.replace("-", "_") not in page} == set()


# Commands


def read_commands(path: str) -> list[str]:
    """Return the lines of a file that begin with `uv run`, after any YAML."""
    text = (ROOT / path).read_text(encoding="utf-8")
    return re.findall(r"^(?:\s*(?:- run|entry): )?(uv run .+)$", text, re.MULTILINE)


@pytest.mark.parametrize("path", [".pre-commit-config.yaml", ".github/workflows/ci.yml"])
def test_the_same_commands_run_everywhere(path: str) -> None:
    assert read_commands(path) == read_commands(".ci/run")


def test_the_default_tests_run_last() -> None:
    assert read_commands(".ci/run")[-1] == "uv run pytest"
    assert (ROOT / ".ci" / "run").read_text(encoding="utf-8").endswith("\nuv run pytest\n")
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_every_package_is_tested_alone() -> None:
    for name, member in MEMBERS.items():
        if member.path.parent.name == "packages":
            command = f"uv run --isolated --package {name} --group dev python -m pytest packages/{name}"
            assert command in read_commands(".ci/run")


def test_a_stale_lock_fails() -> None:
    for path in (".ci/run", ".github/workflows/ci.yml"):
        assert "uv sync --locked\n" in (ROOT / path).read_text(encoding="utf-8")
    assert "uv lock --check\n" in (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")


def test_the_contribution_guide_names_the_same_commands() -> None:
    guide = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    for command in ("uv sync --locked", *read_commands(".ci/run")):
        if "--isolated" not in command or "frame-models" in command:
            assert f"\n{command}\n" in guide


def test_every_page_of_the_documentation_is_in_the_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:\n")[2]
    named = set(re.findall(r"[\w/]+\.md", navigation))
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert len(pages) > 30
    assert pages - named == set()


def test_each_recipe_ends_with_the_command_that_tests_it() -> None:
    guide = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    recipes = re.findall(r"^### (.+?)\n(.*?)(?=^##)", guide, re.MULTILINE | re.DOTALL)
    kinds = ["A model", "An architecture", "A data set", "An evaluation", "A logger", "A device", "An experiment"]
    assert [kind for kind, _ in recipes] == kinds
    for _, recipe in recipes:
        assert re.search(r"```\nuv run [^\n]*pytest[^\n]*\n```$", recipe.strip())


# Tracked files


def read_tracked_files() -> dict[str, str]:
    """Return the text of each tracked file except the lock file, by path."""
    listing = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    paths = [path for path in listing.splitlines() if path != "uv.lock" and (ROOT / path).is_file()]
    return {path: (ROOT / path).read_text(encoding="utf-8", errors="ignore") for path in paths}


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a checkout: there is nothing tracked")
@pytest.mark.parametrize(
    "pattern",
    [
        r"(default|extra|^)[-_]?index[-_]url",
        r"find[-_]links",
        r"UV_(DEFAULT_)?INDEX",
        r"\[\[tool\.uv\.index\]\]",
        r"https?://[^\s\"]+/simple\b",
        r"(^|[^\w.])/(work|root|home|Users)/\w",
    ],
)
def test_no_tracked_file_contains_a_package_index_or_a_path_of_one_machine(pattern: str) -> None:
    files = read_tracked_files()
    assert "pyproject.toml" in files
    assert {path for path, text in files.items() if re.search(pattern, text, re.MULTILINE)} == set()


def test_no_source_imports_private_modules_of_hydra() -> None:
    sources = [path for member in MEMBERS.values() for path in (member.path / "src").rglob("*.py")]
    assert len(sources) > 200
    assert [path.name for path in sources if "hydra._internal" in path.read_text(encoding="utf-8")] == []
