from types import SimpleNamespace

from frame_core import Optimization
from frame_core.testing import TinyModel, TinyOptimization


def test_any_object_with_model_data_and_counters_is_an_optimization() -> None:
    assert isinstance(TinyOptimization(), Optimization)
    assert isinstance(SimpleNamespace(model=TinyModel(), data={}, counters={"iteration": 0}), Optimization)
    assert not isinstance(SimpleNamespace(model=TinyModel(), data={}), Optimization)
