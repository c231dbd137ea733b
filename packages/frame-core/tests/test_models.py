from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, Normal

from frame_core import (
    AdversarialModel,
    ClassificationModel,
    GenerativeModel,
    ImportanceSamplingModel,
    JointModel,
    LatentVariableModel,
    Model,
    ReconstructionModel,
    RepresentationLearningModel,
    VariationalModel,
    encode_batch,
    select_conditions,
)
from frame_core.testing import TinyConditionalModel, TinyModel

METHODS: dict[type[Model], set[str]] = {
    GenerativeModel: {"sample"},
    RepresentationLearningModel: {"encode"},
    LatentVariableModel: {"encode", "decode"},
    ReconstructionModel: {"reconstruct"},
    VariationalModel: {"compute_loss_components"},
    ImportanceSamplingModel: {"compute_log_weights"},
    ClassificationModel: {"classify"},
    AdversarialModel: {"sample", "compute_generator_loss", "compute_discriminator_loss"},
}


def test_a_model_is_abstract_and_requires_the_loss() -> None:
    assert Model.__abstractmethods__ == {"compute_loss"}
    with pytest.raises(TypeError, match="abstract"):
        Model()


@pytest.mark.parametrize(("capability", "methods"), METHODS.items())
def test_a_capability_is_a_model_and_requires_its_methods(capability: type[Model], methods: set[str]) -> None:
    assert issubclass(capability, Model)
    assert capability.__abstractmethods__ == {"compute_loss", *methods}


@pytest.mark.parametrize(("capability", "methods"), METHODS.items())
def test_any_module_with_the_methods_of_a_capability_has_it(capability: type[Model], methods: set[str]) -> None:
    functions = {method: lambda self, *arguments: None for method in methods}
    assert isinstance(type("Capable", (nn.Module,), functions)(), capability)
    for method in methods:
        others = {name: function for name, function in functions.items() if name != method}
        assert not isinstance(type("Incapable", (nn.Module,), others)(), capability)
    assert not isinstance(type("NoModule", (), functions)(), capability)


def test_a_model_needs_the_loss_whatever_it_derives_from() -> None:
    assert isinstance(type("Trainable", (nn.Module,), {"compute_loss": lambda self, data, data_idx: {}})(), Model)
    assert not isinstance(type("Untrainable", (nn.Module,), {"encode": lambda self, x: x})(), Model)


def test_a_conditional_model_has_the_capabilities_whose_methods_it_has() -> None:
    model = TinyConditionalModel()
    found = {capability for capability in METHODS if isinstance(model, capability)}
    assert found == {
        GenerativeModel,
        RepresentationLearningModel,
        ReconstructionModel,
        VariationalModel,
        ImportanceSamplingModel,
    }


@pytest.mark.parametrize("derived", [JointModel, TinyModel])
def test_only_capabilities_are_a_matter_of_methods(derived: type[Model]) -> None:
    assert not isinstance(TinyConditionalModel(), derived)


def test_an_abstract_class_of_a_user_has_only_what_derives_from_it() -> None:
    class Base(GenerativeModel):
        def sample(self, sample_shape: torch.Size = torch.Size([]), sample_output: bool = False) -> Tensor:
            return torch.zeros(sample_shape)

    assert not isinstance(TinyModel(), Base)


class LabelledPosterior(TinyModel):
    """The representation is the label."""

    def encode_batch(self, data: Mapping[str, Tensor]) -> Distribution:
        return Independent(Normal(data["y"].float().unsqueeze(1), 1.0), 1)


def test_a_batch_is_encoded_by_the_method_for_batches_if_there_is_one_and_else_from_x() -> None:
    batch = {"x": torch.rand(3, 1, 4, 4), "y": torch.tensor([2, 0, 1])}
    torch.testing.assert_close(encode_batch(TinyModel(), batch).mean, TinyModel().encode(batch["x"]).mean)
    assert encode_batch(LabelledPosterior(), batch).mean.flatten().tolist() == [2, 0, 1]
    with pytest.raises(ValueError, match="The batch has no `x`; it has `y`"):
        encode_batch(TinyModel(), {"y": batch["y"]})


@pytest.mark.parametrize(("model", "names"), [(TinyModel, set()), (TinyConditionalModel, {"y"})])
def test_conditions_are_the_tensors_of_a_batch_that_are_named_like_parameters(model: Any, names: set[str]) -> None:
    assert set(select_conditions(model(), {"x": torch.rand(2), "y": torch.rand(2)})) == names
