import pytest

from frame_core import (
    ClassificationModel,
    GenerativeModel,
    Model,
    ReconstructionModel,
    RepresentationLearningModel,
    VariationalModel,
)

METHODS = {
    GenerativeModel: "sample",
    RepresentationLearningModel: "encode",
    ReconstructionModel: "reconstruct",
    VariationalModel: "compute_loss_components",
    ClassificationModel: "classify",
}


def test_a_model_is_abstract_and_asks_for_the_loss() -> None:
    assert Model.__abstractmethods__ == {"compute_loss"}
    with pytest.raises(TypeError, match="abstract"):
        Model()


@pytest.mark.parametrize(("capability", "method"), METHODS.items())
def test_a_capability_is_a_model_and_asks_for_one_method_more(capability: type[Model], method: str) -> None:
    assert issubclass(capability, Model)
    assert capability.__abstractmethods__ == {"compute_loss", method}
