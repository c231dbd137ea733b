import pytest

from frame_core import (
    AdversarialModel,
    ClassificationModel,
    GenerativeModel,
    LatentVariableModel,
    Model,
    ReconstructionModel,
    RepresentationLearningModel,
    VariationalModel,
)

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
