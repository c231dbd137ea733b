import csv
import io
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from frame_train.runs.directory import claimed

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def root(trained: Path, tmp_path: Path) -> Path:
    """Return a folder with a complete run, a killed run, an empty run and a damaged run."""
    for name in ("complete", "killed", "empty", "damaged"):
        shutil.copytree(trained, tmp_path / "runs" / "DIGITS" / "VAE" / name)
    for name in ("killed", "empty"):
        path = tmp_path / "runs" / "DIGITS" / "VAE" / name / "run.json"
        description = json.loads(path.read_text())
        del description["ended"]
        path.write_text(json.dumps({**description, "seed": 7}))
    for name in ("empty", "damaged"):
        shutil.rmtree(tmp_path / "runs" / "DIGITS" / "VAE" / name / "checkpoints")
    (tmp_path / "runs" / "DIGITS" / "VAE" / "damaged" / "run.json").write_text("{")
    return tmp_path / "runs"


@pytest.fixture
def run(runs: Command, root: Path) -> Command:
    """Run `runs` on the folder."""

    def call(*arguments: str) -> tuple[int, str, str]:
        is_placed = "compare" in arguments or "--root" in arguments
        return runs(*arguments, *([] if is_placed else ["--root", str(root)]))

    return call


def test_the_table_has_a_line_for_each_run_and_the_settings_that_differ(run: Command) -> None:
    code, output, errors = run()
    lines = {line.split()[0]: " ".join(line.split()[1:]) for line in output.splitlines()}
    assert (code, errors) == (0, "")
    assert set(lines) == {"run", *(f"DIGITS/VAE/{name}" for name in ("complete", "killed", "empty", "damaged"))}
    assert "seed=7" in lines["DIGITS/VAE/killed"]
    assert lines["DIGITS/VAE/killed"].startswith("killed")


def test_the_table_is_limited_to_the_latest_runs_and_says_so(run: Command) -> None:
    _, output, errors = run("--limit", "1", "status=killed")
    assert len(output.splitlines()) == 2
    assert errors == "1 more runs: `--limit 0` shows all\n"


def test_json_and_csv_have_every_run_and_every_metric(run: Command) -> None:
    found = json.loads(run("--json")[1])
    rows = list(csv.DictReader(io.StringIO(run("--csv")[1])))
    complete = next(entry for entry in found if entry["status"] == "complete")
    row = next(row for row in rows if row["status"] == "complete")
    assert len(found) == len(rows) == 4
    assert complete["last"]["ELBO/Validation"] == float(row["last ELBO/Validation"])
    assert complete["best"]["ELBO/Validation"] == float(row["best ELBO/Validation"])
    assert complete["directory"] == row["directory"]


def test_what_a_run_says_reaches_the_terminal_as_text(run: Command, root: Path) -> None:
    hostile = "[/red]\x1b[2J"
    for name in ("complete", "killed", "empty"):
        path = root / "DIGITS" / "VAE" / name / "run.json"
        changes = {"project": hostile, "params": {hostile: name + hostile}, "monitor": {"metric": hostile}}
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes, "best": {hostile: 1.0}}))
    shutil.rmtree(root / "DIGITS" / "VAE" / "damaged")
    for flags in ([], ["--csv"], ["--json"], ["--sort", hostile]):
        code, output, errors = run(*flags)
        assert (code, errors) == (0, "")
        assert "[/red]" in output
        assert all(character.isprintable() or character == "\n" for character in output)


def test_markdown_has_a_row_for_each_run_with_its_last_metrics(run: Command, root: Path) -> None:
    lines = run("--markdown", "status=killed")[1].splitlines()
    head, _, killed, empty = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    assert {killed[0], empty[0]} == {"DIGITS/VAE/killed", "DIGITS/VAE/empty"}
    last = json.loads(run("--json", "status=killed")[1])[0]["last"]
    assert killed[head.index("ELBO/Validation")] == f"{last['ELBO/Validation']:.5g}"


def test_no_run_is_removed_without_consent(run: Command, root: Path) -> None:
    before = sorted(root.rglob("*"))
    code, output, errors = run("clean")
    assert (code, output) == (0, "")
    assert [line.split()[2].rpartition("/")[2] for line in errors.splitlines()[:-1]] == ["damaged", "empty"]
    assert errors.splitlines()[-1] == "`runs clean --yes` removes these 2 runs."
    assert sorted(root.rglob("*")) == before


def test_only_runs_without_a_checkpoint_are_removed_by_default(run: Command, root: Path) -> None:
    assert run("clean", "--yes")[0] == 0
    assert sorted(path.name for path in (root / "DIGITS" / "VAE").iterdir()) == ["complete", "killed"]
    assert run("clean", "--yes")[2] == f"There is nothing to remove below {str(root)!r}.\n"


def test_the_runs_that_pass_a_filter_are_removed_with_their_empty_parents(run: Command, root: Path) -> None:
    assert run("clean", "project=DIGITS", "--yes")[0] == 0
    assert list(root.iterdir()) == []


def test_a_folder_that_is_no_run_directory_is_not_removed(run: Command, root: Path) -> None:
    project = root / "project"
    (project / "src").mkdir(parents=True)
    for folder in (root, project):
        (folder / "run.json").write_text("{}")
    assert run("clean", "--yes")[0] == 0
    assert (project / "src").is_dir()
    assert (root / "DIGITS" / "VAE" / "complete" / "run.json").is_file()
    code, _, errors = run("clean", "--yes", "--root", str(project))
    assert (code, errors) == (0, f"There is nothing to remove below {str(project)!r}.\n")


def test_a_run_in_training_is_not_removed(run: Command, root: Path) -> None:
    with claimed(root / "DIGITS" / "VAE" / "empty"):
        run("clean", "seed=7", "--yes")
    assert (root / "DIGITS" / "VAE" / "empty" / "run.json").is_file()
    assert not (root / "DIGITS" / "VAE" / "killed").exists()


def test_what_a_link_points_to_is_not_removed(run: Command, root: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").touch()
    (root / "DIGITS" / "VAE" / "empty" / "link").symlink_to(kept)
    assert run("clean", "--yes")[0] == 0
    assert (kept / "file").exists()


def test_runs_are_compared_by_what_differs(run: Command, root: Path) -> None:
    folder = root / "DIGITS" / "VAE"
    config = folder / "killed" / "config.yaml"
    config.write_text(config.read_text().replace("seed: 0", "seed: 7"))
    code, output, _ = run("compare", *(str(folder / name) for name in ("complete", "killed", "empty")))
    assert code == 0
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in output.splitlines() if "│ seed" in line]
    assert cells == [["seed", "0", "7", "0"]]
    assert "B - A" not in output


def test_a_difference_of_numbers_beyond_any_float_is_infinite(run: Command, root: Path) -> None:
    folder = root / "DIGITS" / "VAE"
    for name, number in (("complete", 1), ("killed", 10**400)):
        with (folder / name / "config.yaml").open("a") as file:
            file.write(f"planted: {number}\n")
    code, output, _ = run("compare", str(folder / "complete"), str(folder / "killed"))
    assert code == 0
    assert "+inf" in output


def test_a_page_shows_the_curves_and_pictures_of_several_runs(run: Command, root: Path, tmp_path: Path) -> None:
    folder = root / "DIGITS" / "VAE"
    for name in ("complete", "killed"):
        with (folder / name / "metrics.jsonl").open("a") as file:
            file.write('{"trainer/global_step": 1000, "ELBO/Validation": -1.5}\n')
    page = tmp_path / "comparison.html"
    code, _, errors = run("compare", str(folder / "complete"), str(folder / "killed"), "--page", str(page))
    assert (code, errors) == (0, f"The page is {page}\n")
    source = page.read_text()
    charts = json.loads(re.findall(r'<script type="application/json" id="charts">(.*?)</script>', source)[0])
    curves = {chart["title"]: chart["curves"] for chart in charts}
    assert [curve["name"] for curve in curves["ELBO/Validation"]] == ["A", "B"]
    assert [(curve["steps"][-1], curve["values"][-1]) for curve in curves["ELBO/Validation"]] == [(1000, -1.5)] * 2
    names = {re.sub(r"\W\d+\.png$", "", path.name) for path in (folder / "complete" / "images").iterdir()}
    assert source.count("data:image/png;base64,") == 2 * len(names)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--foo"], "Unrecognized arguments: --foo. `runs --help` lists the flags."),
        (["--limit", "-1"], "`--limit` must be at least 0, got -1."),
        (["--limit", "x"], "Argument --limit: invalid int value: 'x'. `runs --help` lists the flags."),
        (["stat=complete"], "No run has the setting `stat`. Did you mean `status`?"),
        (["--sort", "ELBO/Val"], "`--sort`: no run has `ELBO/Val`. Did you mean `ELBO/Validation`?"),
        (["compare", "x"], "`compare` needs at least two runs, got 1."),
        (["compare", *"x" * 27], "`compare` takes at most 26 runs, got 27. `runs --csv` has all."),
        (
            ["compare", "x", "y", "--page", "config.yaml"],
            "`--page` must be a file that ends in `.html`, got 'config.yaml'.",
        ),
        (["compare", "x", "y", "--page", "."], "`--page` must be a file that ends in `.html`, got '.'."),
        (["--json", "--csv"], "Argument --csv: not allowed with argument --json. `runs --help` lists the flags."),
        (
            ["--root", "~nobody-of-this-name/x"],
            "There is no folder '{folder}/~nobody-of-this-name/x'. `--root` names the folder of the runs.",
        ),
        (["--root", "/nowhere/at/all"], "There is no folder '/nowhere/at/all'. `--root` names the folder of the runs."),
    ],
    ids=" ".join,
)
def test_a_mistake_ends_with_a_short_message(run: Command, arguments: list[str], message: str) -> None:
    code, output, errors = run(*arguments)
    assert (code, output) == (2, "")
    assert errors == f"error: {message.replace('{folder}', str(Path.cwd()))}\n"
