import pytest
from hydra.utils import get_class
from omegaconf import OmegaConf

from frame_train.composition.legacy import MOVED_TARGETS, rename_old_words


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"gpus": 2}, {"accelerator": "gpu", "devices": 2}),
        ({"gpus": 0}, {"accelerator": "cpu", "devices": 1}),
        ({"gpus": None, "accelerator": "auto"}, {"accelerator": "cpu", "devices": 1}),
        ({"checkpoint_callback": False}, {"enable_checkpointing": False}),
        ({"max_epochs": 3}, {"max_epochs": 3}),
    ],
)
def test_old_trainer_keys_are_replaced_and_reported(old: dict, new: dict) -> None:
    config = OmegaConf.create({"trainer": old})
    lines = rename_old_words(config)
    assert config.trainer == new
    assert len(lines) == (0 if old == new else 1)
    for line in lines:
        assert all(name in line for name in new)


@pytest.mark.parametrize(("old", "new"), MOVED_TARGETS.items())
def test_a_moved_class_is_found_under_its_old_path_wherever_it_stands(old: str, new: str) -> None:
    config = OmegaConf.create(
        {"a": [{"part": {"_target_": old}}, "${b}"], "b": {"_target_": old}, "missing": "???", "other": "${nowhere}"}
    )
    assert rename_old_words(config) == [f"`{old}` is an old name: it is now `{new}`."]
    assert config.a[0].part["_target_"] == config.b["_target_"] == new
    assert get_class(new)
