"""The exchange of the optimization keeps what the new one takes, and drops what was written for another one."""

from typing import Any

import pytest
from omegaconf import OmegaConf

from frame_train.composition.exchange import drop_foreign_arguments

OURS = "frame_train.optimization.AdamBatchOptimization"
PLAIN = "trainers.Plain"


@pytest.mark.parametrize(
    ("target", "written", "arguments", "kept", "n_lines"),
    [
        (PLAIN, {"model": 1, "compile": True, "lr": 0.1}, [], {"model": 1}, 2),
        (PLAIN, {"model": 1, "compile": False, "augmentation": None}, [], {"model": 1}, 0),  # they would do nothing
        (PLAIN, {"model": 1, "lrr": 0.1}, ["optimization=mine"], {"model": 1, "lrr": 0.1}, 0),  # a mistake, not ours
        (PLAIN, {"compile": True}, ["optimization.compile=true"], {"compile": True}, 0),
        (OURS, {"lr": 0.1, "n_critic": 5}, [], {"lr": 0.1, "n_critic": 5}, 0),  # a mistake in a config file
        (OURS, {"lr": 0.1, "n_critic": 5}, ["optimization=batch_ADAM"], {"lr": 0.1}, 1),
        (
            OURS,
            {"optimizer": {"lr": 1}},
            ["optimization=x", "+optimization.optimizer.lr=1"],
            {"optimizer": {"lr": 1}},
            0,
        ),
        ("builtins.dict", {"compile": True}, [], {"compile": True}, 0),  # takes any argument
        ("nowhere.Module", {"compile": True}, [], {"compile": True}, 0),  # reported elsewhere
    ],
)
def test_an_argument_that_the_chosen_optimization_lacks_is_dropped_if_a_file_wrote_it_for_another(
    target: str, written: dict[str, Any], arguments: list[str], kept: dict[str, Any], n_lines: int
) -> None:
    config = OmegaConf.create({"optimization": {"_target_": target, **written}})
    lines = drop_foreign_arguments(config, arguments)
    assert config.optimization == {"_target_": target, **kept}
    assert len(lines) == n_lines
    assert all(f"because `{target}` has no argument `" in line for line in lines)
