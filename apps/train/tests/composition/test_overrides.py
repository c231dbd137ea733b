from pathlib import Path

import pytest

from frame_train.composition.overrides import normalize_overrides


@pytest.mark.parametrize(
    ("typed", "normalized"),
    [
        ("+experiment=MNIST_VAE", "+experiment=MNIST_VAE"),
        ("experiment=MNIST_VAE", "+experiment=MNIST_VAE"),
        ("logging=none", "logging=none"),
        ("+logging=none", "logging=none"),
        ("+trainer.max_epochs=3", "++trainer.max_epochs=3"),
        ("trainer.max_epochs=3", "++trainer.max_epochs=3"),
        ("++trainer.max_epochs=3", "++trainer.max_epochs=3"),
        ("params.beta=0.1", "params.beta=0.1"),
        ("+params.beta=0.1", "++params.beta=0.1"),
        ("~callbacks.progress_bar", "~callbacks.progress_bar"),
        ("+data=MNIST", "+data=MNIST"),
        ("--multirun", "--multirun"),
        ("params.layers=[1, 2]\n", "params.layers=[1, 2]\n"),
        ("run.name=a=b", "run.name=a=b"),
    ],
)
def test_an_override_works_with_and_without_its_plus_sign(typed: str, normalized: str) -> None:
    assert normalize_overrides([typed]) == [normalized]


@pytest.mark.parametrize("flag", [["--config-dir", "{}"], ["--config-dir={}"], ["-cd", "{}"]])
def test_the_groups_of_an_own_folder_are_known(flag: list[str], tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    arguments = [part.format(tmp_path) for part in flag]
    assert normalize_overrides([*arguments, "+mine=x"])[-1] == "+mine=x"
    assert normalize_overrides(["+mine=x"]) == ["++mine=x"]


def test_flags_may_stand_between_overrides() -> None:
    arguments = ["+experiment=X", "--config-dir", "folder", "params.beta=1", "--cfg=job", "~logger"]
    assert normalize_overrides(arguments) == [
        "--config-dir",
        "folder",
        "--cfg=job",
        "+experiment=X",
        "params.beta=1",
        "~logger",
    ]
