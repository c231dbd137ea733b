import contextlib
import re
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra

from frame_train.commands.train import main
from frame_train.composition.settings import config_directory, workspace

APP = Path(__file__).parents[1] / "README.md"
COMMANDS = re.findall(
    r"^(?:uv run )?train (.*?)(?:\s+#.*)?$",
    "\n".join(path.read_text() for path in (APP, workspace() / "README.md")),
    re.MULTILINE,
)


def test_the_examples_of_the_readme_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for block in re.findall(r"```python\n(.*?)```", APP.read_text(), re.DOTALL):
        exec(block, {})
    assert len(list(tmp_path.glob("my_runs/DIGITS/VAE/*/run.json"))) == 1


@pytest.mark.parametrize(
    "command",
    [
        command
        for command in COMMANDS
        if not re.search(r"--config-dir|--copy|--check-all|--compatible-with|--search|resume=|^-m", command)
    ],
)
def test_every_command_of_the_readmes_composes(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [argument.replace('"', "") for argument in re.findall(r'(?:[^\s"]|"[^"]*")+', command)]
    flags = [] if "--help" in arguments else ["--cfg", "job"]
    monkeypatch.setattr("sys.argv", ["train", *flags, *arguments])
    with contextlib.suppress(SystemExit):  # --help exits
        main()
    assert capsys.readouterr().err == ""
    GlobalHydra.instance().clear()


def test_the_readmes_name_existing_experiments() -> None:
    named = {match for command in COMMANDS for match in re.findall(r"experiment=(\w+)", command)} - {"mine"}
    assert named <= {path.stem for path in (config_directory() / "experiment").glob("*.yaml")}
    assert len(named) == 2
