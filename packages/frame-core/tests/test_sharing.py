import pytest

from frame_core import share, sharing


def test_a_shared_result_is_computed_once_within_the_context_and_every_time_outside() -> None:
    computed: list[str] = []

    def compute() -> str:
        computed.append("once more")
        return "value"

    results: dict[object, object] = {}
    for _ in range(2):
        with sharing(results):
            assert share("key", compute) == "value"
    assert len(computed) == 1
    with sharing(results):
        assert share("another key", compute) == "value"
    assert len(computed) == 2
    for _ in range(2):
        assert share("key", compute) == "value"
    assert len(computed) == 4


def test_an_error_is_not_cached_and_ends_the_context() -> None:
    results: dict[object, object] = {}
    with pytest.raises(ZeroDivisionError), sharing(results):
        share("key", lambda: 1 // 0)
    assert results == {}
    assert share("key", lambda: 2) == 2
    assert results == {}
