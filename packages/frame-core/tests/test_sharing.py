import pytest

from frame_core import share, sharing


def test_what_is_shared_is_computed_once_and_elsewhere_each_time() -> None:
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


def test_what_raises_is_not_kept_and_nothing_is_shared_behind_it() -> None:
    results: dict[object, object] = {}
    with pytest.raises(ZeroDivisionError), sharing(results):
        share("key", lambda: 1 // 0)
    assert results == {}
    assert share("key", lambda: 2) == 2
    assert results == {}
