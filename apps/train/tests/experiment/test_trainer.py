from typing import Any

import pytest
import torch
from pytorch_lightning import Trainer

from frame_train.experiment.trainer import count_processes


@pytest.mark.parametrize("devices", [3, "2", "auto", -1, pytest.param([0, 1], id="list"), "0,1"])
def test_the_number_of_processes_on_gpus_is_that_of_lightning(devices: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("torch.cuda", "torch.accelerator"):
        monkeypatch.setattr(f"{name}.is_available", lambda: True)
        monkeypatch.setattr(f"{name}.device_count", lambda: 4)
    monkeypatch.setattr("lightning_fabric.accelerators.cuda.num_cuda_devices", lambda: 4)
    given = {"accelerator": "cuda", "devices": devices}
    assert count_processes(given) == Trainer(**given, strategy="ddp", logger=False).world_size


@pytest.mark.parametrize(
    ("given", "n_processes"),
    [
        ({"devices": 2, "num_nodes": 3}, 6),
        ({"devices": "auto", "accelerator": "auto"}, 1),
        ({"devices": "auto", "accelerator": "cpu"}, 1),
        ({"devices": "auto", "accelerator": "gpu"}, None),
        ({"devices": -1, "accelerator": "gpu"}, None),
        ({"devices": "two"}, None),
        ({"devices": 2, "num_nodes": "all"}, None),
        ({}, 1),
    ],
)
def test_the_number_of_processes_may_depend_on_the_machine(
    given: dict[str, Any], n_processes: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: 0)
    assert count_processes(given) == n_processes
