from collections.abc import Mapping

import pytest
import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, Normal

from frame_core import (
    AdversarialModel,
    ClassificationModel,
    GenerativeModel,
    LatentVariableModel,
    Model,
    ReconstructionModel,
    RepresentationLearningModel,
    VariationalModel,
    encode_batch,
)
from frame_core.testing import TinyModel

METHODS: dict[type[Model], set[str]] = {
    GenerativeModel: {"sample"},
    RepresentationLearningModel: {"encode"},
    LatentVariableModel: {"encode", "decode"},
    ReconstructionModel: {"reconstruct"},
    VariationalModel: {"compute_loss_components", "compute_log_weights"},
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
