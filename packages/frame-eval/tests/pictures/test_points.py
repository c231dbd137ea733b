import pytest

from frame_core.testing import TinyModel, TinyOptimization, check_evaluation, make_tiny_data
from frame_eval import PointSampleEvaluation


def test_the_plot_shows_as_many_samples_as_points_of_the_split() -> None:
    data = {"valid": make_tiny_data(7, (2,))}
    entry = check_evaluation(PointSampleEvaluation("valid", n_points=5), TinyOptimization(TinyModel((2,)), data))
    titles = [axes.get_title() for axes in entry.value.axes]
    assert titles == ["Data", "Samples"]
    assert [len(axes.collections[0].get_offsets()) for axes in entry.value.axes] == [5, 5]


def test_images_are_refused() -> None:
    with pytest.raises(ValueError, match=r"A point in the plane must have shape \(2,\), got \(1, 4, 4\)"):
        PointSampleEvaluation("valid").evaluate(TinyOptimization())
