import re
import runpy
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from omegaconf import OmegaConf

from frame_train import CompositionError, load_run


def test_the_folder_loads_the_model_and_describes_it(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = load_run(trained)
    run.export_repository(tmp_path / "vae")
    assert capsys.readouterr().out == f"hf upload USER/vae {tmp_path / 'vae'}\n"
    assert {path.name for path in (tmp_path / "vae").iterdir()} == {
        "README.md",
        "config.yaml",
        "load.py",
        "model.safetensors",
    }
    card = (tmp_path / "vae" / "README.md").read_text()
    _, front, text = card.split("---\n", 2)
    assert yaml.safe_load(front) == {"library_name": "pytorch", "tags": ["frame", "VariationalAutoencoder"]}
    assert f"| ELBO/Validation | {run.metrics['ELBO/Validation'].dropna().iloc[-1]:.5g} |" in text
    assert f"parameters: {sum(parameter.numel() for parameter in run.model.parameters()):,}" in text
    moved = tmp_path / "elsewhere"
    (tmp_path / "vae").rename(moved)
    monkeypatch.chdir(moved)
    (code,) = re.findall(r"```python\n(.*?)\n```", text, re.DOTALL)
    assert (moved / "load.py").read_text() == code + "\n"
    loaded = runpy.run_path("load.py")["model"]
    assert all(map(torch.equal, loaded.state_dict().values(), run.model.state_dict().values()))


def test_texts_of_a_run_have_no_meaning_in_the_card(trained: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(trained, tmp_path / "run"))
    with (copy / "metrics.jsonl").open("a") as file:
        file.write('{"trainer/global_step": 9, "a|b\\n# <script>": 1.0}\n')
    config = OmegaConf.load(copy / "config.yaml")
    config.seed = "1\n\n# <script>"
    OmegaConf.save(config, copy / "config.yaml")
    load_run(copy).export_repository(tmp_path / "vae")
    card = (tmp_path / "vae" / "README.md").read_text()
    assert "with seed 1  \\# \\<script\\>\n" in card
    assert "| a\\|b \\# \\<script\\> | 1 |" in card


@pytest.mark.parametrize("wrong", [None, 5, [1], {}, "${nowhere}"], ids=repr)
def test_a_config_without_the_words_of_a_card_has_a_card_too(trained: Path, tmp_path: Path, wrong: Any) -> None:
    copy = Path(shutil.copytree(trained, tmp_path / "run"))
    config = OmegaConf.load(copy / "config.yaml")
    for key in ("monitor", "seed"):
        config[key] = wrong
    config.run = {}
    OmegaConf.save(config, copy / "config.yaml")
    load_run(copy).export_repository(tmp_path / "vae")
    assert "| ELBO/Validation |" in (tmp_path / "vae" / "README.md").read_text()


def test_a_folder_with_files_is_left_alone(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    with pytest.raises(CompositionError, match=r"must be empty or new\. Name another one\."):
        load_run(trained).export_repository(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    with pytest.raises(CompositionError, match=r"can't be written: Not a directory"):
        load_run(trained).export_repository(tmp_path / "mine" / "folder")
