from dataclasses import replace

import pytest

from frame_core import EvaluationView, Optimization, share
from frame_core.testing import TinyModel, TinyOptimization


def make_view() -> EvaluationView:
    optimization = TinyOptimization()
    return EvaluationView(optimization.model, optimization.data, optimization.counters)


def count_computations(optimizations: list[Optimization], keys: list[str]) -> int:
    computed: list[str] = []

    def compute() -> str:
        computed.append("once more")
        return "value"

    for optimization in optimizations:
        for key in keys:
            assert share(optimization, key, compute) == "value"
    return len(computed)


def test_a_view_is_an_optimization() -> None:
    assert isinstance(make_view(), Optimization)


def test_a_result_is_computed_once_for_each_key_of_a_view() -> None:
    view = make_view()
    assert count_computations([view, view], ["key", "key", "another key"]) == 2


def test_another_cache_and_another_model_share_no_results() -> None:
    view = make_view()
    assert count_computations([view, replace(view, cache={}), replace(view, model=TinyModel())], ["key"]) == 3


def test_an_optimization_without_a_cache_computes_a_result_every_time() -> None:
    assert count_computations([TinyOptimization()], ["key", "key"]) == 2


def test_a_computation_that_raises_is_not_cached() -> None:
    view = make_view()
    with pytest.raises(ZeroDivisionError):
        share(view, "key", lambda: 1 // 0)
    assert share(view, "key", lambda: 2) == 2
