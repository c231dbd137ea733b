from collections.abc import Mapping
from io import BytesIO
from typing import Any

import numpy
import pytest
import torch
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from sklearn.decomposition import PCA
from torch import Tensor
from torch.distributions import Distribution, Independent, Normal, TransformedDistribution, transforms

from frame_core import PLOT_ENTRY, RepresentationLearningModel, run_evaluation
from frame_core.testing import TinyModel, TinyOptimization
from frame_eval import LatentSpaceEvaluation
from frame_eval.pictures.latent_space import compute_principal_components


class IdentityModel(RepresentationLearningModel):
    """Represents an example by itself, with noise that the mean excludes."""

    def compute_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        return {"loss": data["x"].mean()}

    def encode(self, x: Tensor) -> Distribution:
        return Independent(Normal(x, 100.0, validate_args=False), x.ndim - 1)


class MeanlessModel(IdentityModel):
    def encode(self, x: Tensor) -> Distribution:
        return TransformedDistribution(super().encode(x), transforms.TanhTransform())


def make_vectors(n_data: int, z_dim: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(n_data, z_dim, generator=generator) @ torch.randn(z_dim, z_dim, generator=generator) + 3


def draw(x: Tensor, y: list[int] | None = None, n_samples: int = 2000) -> Figure:
    data_set = list(zip(x)) if y is None else list(zip(x, y))
    optimization = TinyOptimization(model=IdentityModel(), data={"valid": data_set})
    entry = run_evaluation(LatentSpaceEvaluation("valid", n_samples), optimization)
    assert entry.data_type == PLOT_ENTRY
    assert isinstance(entry.value, Figure)
    entry.value.savefig(BytesIO(), format="png")
    return entry.value


def read_points(figure: Figure) -> Tensor:
    return torch.tensor(numpy.asarray(figure.axes[0].collections[0].get_offsets()), dtype=torch.float32)


def read_legend(figure: Figure) -> list[str] | None:
    legend = figure.axes[0].get_legend()
    return [text.get_text() for text in legend.get_texts()] if legend else None


def test_two_dimensions_are_plotted_directly() -> None:
    x = make_vectors(30, 2)
    figure = draw(x)
    torch.testing.assert_close(read_points(figure), x)
    assert figure.axes[0].get_xlabel() == "$z_1$"
    assert figure.axes[0].get_title() == "Representations of 30 examples"


@pytest.mark.parametrize(("n_data", "shape"), [(100, (5,)), (4, (20,)), (50, (2, 3, 4)), (40, (3,))])
def test_more_dimensions_are_plotted_by_their_two_principal_components(n_data: int, shape: tuple[int, ...]) -> None:
    x = make_vectors(n_data, torch.Size(shape).numel())
    pca = PCA(n_components=2, svd_solver="full")
    expected = torch.from_numpy(pca.fit_transform(x.double().numpy())).float()
    figure = draw(x.unflatten(1, shape))
    torch.testing.assert_close(read_points(figure).abs(), expected.abs(), rtol=1e-4, atol=1e-4)  # z is float32
    products = (read_points(figure) * expected).sum(0)  # the sign of each axis is arbitrary
    torch.testing.assert_close(products.abs(), expected.square().sum(0), rtol=1e-4, atol=1e-4)
    labels = [figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()]
    for label, part in zip(labels, pca.explained_variance_ratio_):
        assert f"({part:.0%} of the variance)" in label


def test_signs_of_principal_components_do_not_depend_on_the_order() -> None:
    z = make_vectors(100, 4)
    components, _ = compute_principal_components(z)
    of_shuffled, _ = compute_principal_components(z.flip(0))
    torch.testing.assert_close(of_shuffled.flip(0), components)


@pytest.mark.parametrize("x", [torch.ones(1, 3), torch.ones(10, 3), torch.ones(1, 2), torch.ones(1, 1)])
def test_constant_representations_can_be_plotted(x: Tensor) -> None:
    draw(x)
    draw(x, [7] * len(x))


def test_every_label_has_its_own_color() -> None:
    labels = [3, 1, 7, 1, 3, 3]
    figure = draw(make_vectors(6, 2), labels)
    assert read_legend(figure) == ["1", "3", "7"]
    points, *samples = figure.axes[0].collections
    colors = {sample.get_label(): to_rgb(sample.get_facecolor()[0]) for sample in samples}
    assert len(set(colors.values())) == 3
    assert [to_rgb(color) for color in points.get_facecolor()] == [colors[str(label)] for label in labels]


@pytest.mark.parametrize("n_labels", [10, 20])
def test_colors_of_many_labels_differ(n_labels: int) -> None:
    figure = draw(make_vectors(n_labels, 2), list(range(n_labels)))
    assert len({tuple(color) for color in figure.axes[0].collections[0].get_facecolor()}) == n_labels


def test_too_many_labels_for_a_legend_have_a_colorbar() -> None:
    figure = draw(make_vectors(100, 2), list(range(100)))
    assert read_legend(figure) is None
    assert figure.axes[1].get_ylabel() == "Label"


@pytest.mark.parametrize("z_dim", [1, 2, 3])
def test_examples_without_labels_are_plotted_without_a_legend(z_dim: int) -> None:
    assert read_legend(draw(make_vectors(30, z_dim))) is None


@pytest.mark.parametrize(("n_labels", "legend"), [(2, ["0", "1"]), (50, None)])
def test_one_dimension_is_plotted_as_a_histogram(n_labels: int, legend: list[str] | None) -> None:
    figure = draw(make_vectors(200, 1), [index % n_labels for index in range(200)])
    assert read_legend(figure) == legend
    assert sum(bar.get_height() for bar in figure.axes[0].patches) == pytest.approx(200)


def test_the_requested_number_of_examples_is_plotted() -> None:
    assert len(read_points(draw(make_vectors(300, 3), n_samples=50))) == 50


def test_representation_that_is_not_finite_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`IdentityModel\.encode` must return finite .* split 'valid'"):
        draw(torch.tensor([[0.0, 1.0], [torch.nan, 1.0]]))


def test_representation_without_a_mean_is_refused() -> None:
    with pytest.raises(TypeError, match="`encode` must return a distribution that has a mean, got Transformed"):
        run_evaluation(LatentSpaceEvaluation("valid"), TinyOptimization(model=MeanlessModel()))


@pytest.mark.gpu
def test_representations_are_moved_back_from_the_device_of_the_model() -> None:
    evaluation = LatentSpaceEvaluation("valid")
    expected = read_points(run_evaluation(evaluation, TinyOptimization()).value)
    on_gpu = read_points(run_evaluation(evaluation, TinyOptimization(model=TinyModel().to("cuda"))).value)
    torch.testing.assert_close(on_gpu, expected, rtol=1e-4, atol=1e-4)  # the order of summation differs


@pytest.mark.parametrize(
    ("n_samples", "error", "message"),
    [
        (0, ValueError, "`n_samples` must be positive, got 0"),
        ("all", TypeError, "`n_samples` must be an integer, got 'all'"),
    ],
)
def test_bad_number_of_examples_is_refused(n_samples: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        LatentSpaceEvaluation("valid", n_samples)
