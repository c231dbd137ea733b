from frame_core import EntryLogger


def test_any_object_with_a_method_log_is_a_logger() -> None:
    class Silent:
        def log(
            self, name: str, log_entry: object, global_step: int | None = None, counters: object = None
        ) -> None: ...

    assert isinstance(Silent(), EntryLogger)
    assert not isinstance(object(), EntryLogger)
