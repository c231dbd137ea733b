"""The claims of the comparison with other tools: each is linked to what shows it."""

import re
from pathlib import Path

import pytest

import frame_models

PAGE = Path(__file__).parents[1] / "docs" / "comparison.md"
TEXT = PAGE.read_text(encoding="utf-8")
OURS, OTHERS = (
    [[cell.strip() for cell in line.strip("|").split(" | ")] for line in part.splitlines() if line.startswith("| ")][2:]
    for part in TEXT.split("\n## ")[1:3]
)
LINKS = re.findall(r"\]\(([^)]+)\)", TEXT)


@pytest.mark.parametrize("link", sorted({link for link in LINKS if "://" not in link}))
def test_a_file_that_a_claim_links_to_exists(link: str) -> None:
    path, _, anchor = link.partition("#")
    file = PAGE.parent / path
    assert file.exists()
    if anchor:
        titles = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
        assert anchor in [title.lower().replace(" ", "-") for title in titles]


def test_each_claim_of_ours_links_to_a_test_or_a_benchmark() -> None:
    assert len(OURS) >= 8
    for claim, evidence, _ in OURS:
        assert re.search(r"\]\((\.\./[\w/-]*tests[\w/.-]*|performance\.md#[\w-]+)\)", evidence), claim


def test_each_claim_about_another_tool_links_to_its_source_or_to_our_measurement() -> None:
    cells = [others for _, _, others in (*OURS, *OTHERS) if others]
    assert len(cells) >= 12
    for cell in cells:
        assert "https://" in cell or "our measurement" in cell


def test_there_are_at_least_as_many_rows_in_which_others_are_better() -> None:
    assert len(OTHERS) >= len(OURS) - 1


def test_the_methods_that_are_named_exist() -> None:
    (row,) = (ours for claim, ours, _ in OTHERS if claim == "Self-supervised learning")
    assert set(re.findall(r"`(\w+)`", row)) <= set(frame_models.__all__)


def test_the_measurements_are_those_of_the_page_about_performance() -> None:
    measured = (PAGE.parent / "performance.md").read_text(encoding="utf-8")
    for row in ("| tutorial | 1.82 (", "| pythae | 1.46 (", "| ours, `logging=tensorboard` | 2.6 | 1.03 (", "1.64 ("):
        assert row in measured
