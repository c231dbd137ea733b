"""Every data set of config/data, without its files."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir

from frame_core import DeclaredDataset, get_batch
from frame_train.composition.objects import Composition, construct_target
from frame_train.composition.settings import HYDRA_DEFAULTS, config_directory, register_resolvers

OPTIONS = sorted(config_directory().glob("data/*.yaml"))


def synthesize(target: Callable[..., Any], positional: Sequence[Any], arguments: Mapping[str, Any], key: str) -> Any:
    return construct_target(
        target.synthesize if isinstance(target, DeclaredDataset) else target, positional, arguments, key
    )


@pytest.mark.parametrize("path", OPTIONS, ids=lambda path: path.stem)
def test_each_split_declares_the_form_of_its_examples(path: Path) -> None:
    register_resolvers()
    with initialize_config_dir(str(config_directory()), **HYDRA_DEFAULTS):
        config = compose(
            "train", ["+experiment=DIGITS_VAE", f"data={path.stem}", "+params.n_labelled=100", "run.directory=none"]
        )
    data = Composition(synthesize).instantiate(config.data)
    assert list(data) == ["train", "valid", "test"]
    shapes = [get_batch(data_set, torch.arange(2))["x"].shape for data_set in data.values()]
    assert shapes[0] == shapes[1] == shapes[2]
    assert len(data["train"]) >= len(data["valid"])
