import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from omegaconf import DictConfig, OmegaConf

from frame_train.errors import CompositionError
from frame_train.runs.directory import make_run_directory, write_description


def make_config(root: Path, project: str = "project", name: str = "name") -> DictConfig:
    return OmegaConf.create(
        {
            "run": {"project": project, "name": name, "directory": "???"},
            "device": {"name": "default", "experiments_root": str(root)},
            "seed": 3,
            "params": {"lr": "${seed}", "secret": "${oc.env:PATH}"},
            "monitor": {"metric": "ELBO", "mode": "max"},
        }
    )


def make_and_keep(root: Path) -> Path:
    with make_run_directory(make_config(root)) as directory:
        return directory


def test_runs_that_start_in_the_same_second_never_share_a_directory(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        directories = list(pool.map(make_and_keep, [tmp_path] * 64))
    assert len(set(directories)) == 64
    assert all(directory.parent == tmp_path / "project" / "name" for directory in directories)


def make_and_fail(root: Path) -> None:
    with make_run_directory(make_config(root)) as directory:
        (directory / "file").write_text("half-made")
        raise CompositionError("not composed")


def test_a_run_that_cannot_be_built_leaves_nothing(tmp_path: Path) -> None:
    root = tmp_path / "runs"
    with pytest.raises(CompositionError, match="not composed"):
        make_and_fail(root)
    assert not root.exists()


def test_a_run_that_cannot_be_built_leaves_other_runs_alone(tmp_path: Path) -> None:
    kept = make_and_keep(tmp_path)
    with pytest.raises(CompositionError, match="not composed"):
        make_and_fail(tmp_path)
    assert list((tmp_path / "project" / "name").iterdir()) == [kept]


@pytest.mark.parametrize(
    "name", ["../outside", "/absolute", "a/b", "", "..", ".", "-flag", ".hidden", "a\nb", "a ", "\u202e"]
)
def test_a_run_name_that_is_not_a_folder_name_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(CompositionError, match=r"`run\.name` must be the name of a folder"):
        make_run_directory(make_config(tmp_path, name=name)).__enter__()
    assert list(tmp_path.iterdir()) == []


def test_a_run_directory_describes_the_run(tmp_path: Path) -> None:
    config = make_config(tmp_path)
    write_description(tmp_path, config, ["+experiment=X", "params.lr=${seed}"])
    assert OmegaConf.load(tmp_path / "config.yaml") == config
    assert OmegaConf.to_container(OmegaConf.load(tmp_path / "overrides.yaml"), resolve=False) == [
        "+experiment=X",
        "params.lr=${seed}",
    ]
    description = json.loads((tmp_path / "run.json").read_text())
    assert description["seed"] == 3
    assert description["device"] == "default"
    assert description["params"] == {"lr": 3, "secret": "${oc.env:PATH}"}
    assert description["monitor"] == {"metric": "ELBO", "mode": "max"}
    assert description["versions"]["pytorch-lightning"].startswith("2.6")
    assert len(description["uv_lock_sha256"]) == 64
    assert len(description["git"]["commit"]) == 40
