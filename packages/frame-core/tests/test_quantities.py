import torch

from frame_core import as_tensors


def test_numbers_become_scalar_tensors_and_tensors_stay_as_they_are() -> None:
    loss = torch.ones((), requires_grad=True)
    quantities = as_tensors({"loss": loss, "bound": -1.5, "n": 3})
    assert quantities["loss"] is loss
    assert {name: value.item() for name, value in quantities.items()} == {"loss": 1.0, "bound": -1.5, "n": 3.0}
    assert all(value.shape == () and value.dtype == torch.float32 for value in quantities.values())


def test_numbers_are_on_the_device_of_the_tensors() -> None:
    assert as_tensors({"bound": 1.0, "loss": torch.ones((), device="meta")})["bound"].device.type == "meta"
