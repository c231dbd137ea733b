import pytest
from omegaconf import OmegaConf

from frame_train.composition.legacy import rename_old_keys


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
def test_old_names_are_understood_and_answered_with_the_present_ones(old: dict, new: dict) -> None:
    trainer = OmegaConf.create(old)
    lines = rename_old_keys(trainer)
    assert trainer == new
    assert len(lines) == (0 if old == new else 1)
    for line in lines:
        assert all(name in line for name in new)
