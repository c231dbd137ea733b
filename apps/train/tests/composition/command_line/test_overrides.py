from pathlib import Path

import pytest
from hydra._internal.utils import get_args_parser

from frame_train.composition.command_line.flags import take_flags
from frame_train.composition.command_line.overrides import normalize_overrides
from frame_train.errors import CompositionError


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
        ("run.name=a=b", "run.name='a=b'"),
        ("run.name=日本語 ü", "run.name='日本語 ü'"),
        ("run.name='日本語'", "run.name='日本語'"),
        ("device.data_root=~/a b%", "device.data_root='~/a b%'"),
        ("+params.a=[ü,~]", "++params.a=[ü,~]"),
    ],
)
def test_an_override_works_with_and_without_its_plus_sign(typed: str, normalized: str) -> None:
    assert normalize_overrides([typed]) == [normalized]


@pytest.mark.parametrize("flag", [["--config-dir", "{}"], ["--config-dir={}"], ["-cd", "{}"]])
def test_the_groups_of_a_config_dir_are_known(flag: list[str], tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    arguments = [part.format(tmp_path) for part in flag]
    assert normalize_overrides([*arguments, "+mine=x"])[-1] == "+mine=x"
    assert normalize_overrides(["+mine=x"]) == ["++mine=x"]


def test_flags_may_be_given_between_overrides() -> None:
    arguments = ["+experiment=X", "--config-dir", "folder", "params.beta=1", "--cfg=job", "~logger"]
    assert normalize_overrides(arguments) == [
        "--config-dir",
        "folder",
        "--cfg=job",
        "+experiment=X",
        "params.beta=1",
        "~logger",
    ]


def test_every_flag_of_hydra_that_keeps_our_config_is_accepted_and_no_other() -> None:
    fixed = ("--config-name", "-cn", "--config-path", "-cp")
    for action in get_args_parser()._actions:
        for name in action.option_strings:
            words = [name, *(action.choices or ["x"] if action.nargs is None else [])][:2]
            if name in fixed:
                with pytest.raises(CompositionError, match=f"`{name}` can't be set"):
                    take_flags(words)
            elif name not in ("--help", "-h", "--version"):
                assert take_flags(words)[1] == words
    for flag in ("--multirn", "-x", "--checks"):
        with pytest.raises(CompositionError, match=f"There is no flag `{flag}`"):
            take_flags([flag])


def test_a_misspelt_flag_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(CompositionError, match=r"There is no flag `--multirn`. Did you mean `--multirun`\?"):
        take_flags(["--multirn"])
