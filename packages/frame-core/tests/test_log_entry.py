import dataclasses
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from frame_core import (
    HISTOGRAM_ENTRY,
    IMAGE_ENTRY,
    PLOT_ENTRY,
    SCALAR_ENTRY,
    SCALARS_ENTRY,
    TABLE_ENTRY,
    TEXT_ENTRY,
    EntryType,
    LogEntry,
)


class TinyFigure:
    def savefig(self, fname: Any, /) -> None:
        """Save nothing: an entry only requires that the method exists."""


VALUES: dict[EntryType, Any] = {
    SCALAR_ENTRY: 1.5,
    SCALARS_ENTRY: {"one": 1.0},
    IMAGE_ENTRY: torch.zeros(3, 2, 2),
    PLOT_ENTRY: TinyFigure(),
    HISTOGRAM_ENTRY: torch.arange(3),
    TEXT_ENTRY: "text",
    TABLE_ENTRY: {"column": [1]},
}


@pytest.mark.parametrize("data_type", EntryType)
def test_a_type_can_be_named_by_a_string(data_type: EntryType) -> None:
    name: Any = str(data_type)
    assert LogEntry(name, VALUES[data_type]).data_type is data_type


@pytest.mark.parametrize("data_type", EntryType)
def test_an_entry_made_of_the_value_of_an_entry_keeps_it(data_type: EntryType) -> None:
    value = LogEntry(data_type, VALUES[data_type]).value
    again = LogEntry(data_type, value).value
    assert torch.equal(again, value) if isinstance(value, Tensor) else again == value


@pytest.mark.parametrize("data_type", EntryType)
def test_an_entry_cannot_be_changed(data_type: EntryType) -> None:
    entry: Any = LogEntry(data_type, VALUES[data_type])
    with pytest.raises(dataclasses.FrozenInstanceError):
        entry.value = None
    with pytest.raises(dataclasses.FrozenInstanceError):
        entry.data_type = TEXT_ENTRY


@pytest.mark.parametrize("data_type", ["picture", "SCALAR", None, 3, []])
def test_an_unknown_type_is_refused_and_the_types_are_listed(data_type: Any) -> None:
    with pytest.raises(ValueError, match=r"'scalar', 'scalars', 'image', .* got ") as caught:
        LogEntry(data_type, 1.0)
    assert repr(data_type) in str(caught.value)


# Scalars


@given(st.floats(width=64, allow_nan=False))
def test_a_number_is_kept_as_it_is(number: float) -> None:
    assert LogEntry(SCALAR_ENTRY, number).value == number


@pytest.mark.parametrize(
    "value",
    [
        2,
        True + 1,
        Decimal(2),
        torch.tensor(2.0),
        torch.tensor([[2]]),
        torch.tensor(2.0, dtype=torch.bfloat16),
        torch.tensor(2.0, requires_grad=True),
    ],
)
def test_every_kind_of_number_becomes_a_float(value: Any) -> None:
    scalar = LogEntry(SCALAR_ENTRY, value).value
    assert type(scalar) is float
    assert scalar == 2.0


def test_a_scalar_may_be_nan_or_infinite() -> None:
    assert LogEntry(SCALAR_ENTRY, float("nan")).value != LogEntry(SCALAR_ENTRY, float("nan")).value
    assert LogEntry(SCALAR_ENTRY, torch.tensor(float("inf"))).value == float("inf")


@pytest.mark.parametrize("value", ["1.5", b"1.5", None, [1.0], {"a": 1.0}, 1j])
def test_a_scalar_that_is_not_a_number_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match=f"must be a number, got {type(value).__name__}"):
        LogEntry(SCALAR_ENTRY, value)


@pytest.mark.parametrize("value", [torch.zeros(2), torch.zeros(0), torch.tensor(1j)])
def test_a_tensor_that_is_not_one_real_number_is_refused(value: Tensor) -> None:
    with pytest.raises(ValueError, match="one real number, got a torch"):
        LogEntry(SCALAR_ENTRY, value)


@given(st.dictionaries(st.text(), st.floats(allow_nan=False), min_size=1))
def test_scalars_keep_their_names_their_order_and_their_values(scalars: dict[str, float]) -> None:
    assert list(LogEntry(SCALARS_ENTRY, scalars).value.items()) == list(scalars.items())


@pytest.mark.parametrize(
    ("data_type", "value"), [(SCALARS_ENTRY, {"a": torch.tensor(1)}), (TABLE_ENTRY, {"a": [1, 2]})]
)
def test_a_mapping_is_copied_and_read_only(data_type: EntryType, value: dict[str, Any]) -> None:
    entry = LogEntry(data_type, value)
    before = dict(entry.value)
    value["b"] = value["a"]
    assert entry.value == before
    with pytest.raises(TypeError, match="does not support item assignment"):
        entry.value["b"] = 1


@pytest.mark.parametrize(
    ("data_type", "value"),
    [(SCALARS_ENTRY, 1.0), (SCALARS_ENTRY, [1.0]), (TABLE_ENTRY, [[1]]), (TABLE_ENTRY, "text"), (TABLE_ENTRY, None)],
)
def test_a_value_that_is_not_a_mapping_is_refused(data_type: EntryType, value: Any) -> None:
    with pytest.raises(TypeError, match=f"must map .* got {type(value).__name__}"):
        LogEntry(data_type, value)


@pytest.mark.parametrize("data_type", [SCALARS_ENTRY, TABLE_ENTRY])
def test_an_empty_mapping_is_refused(data_type: EntryType) -> None:
    with pytest.raises(ValueError, match="got an empty mapping"):
        LogEntry(data_type, {})


@pytest.mark.parametrize(("data_type", "value"), [(SCALARS_ENTRY, {1: 1.0}), (TABLE_ENTRY, {None: [1]})])
def test_a_name_that_is_not_a_string_is_refused(data_type: EntryType, value: Mapping[Any, Any]) -> None:
    with pytest.raises(TypeError, match=r"got the name .*, which is not a string"):
        LogEntry(data_type, value)


@pytest.mark.parametrize(("value", "error"), [({"a": "text"}, TypeError), ({"a": torch.zeros(2)}, ValueError)])
def test_each_of_several_scalars_is_checked_as_a_scalar(value: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error, match="scalar entry"):
        LogEntry(SCALARS_ENTRY, value)


# Images


@pytest.mark.parametrize(("value", "level"), [(0.0, 0), (0.5, 128), (1.0, 255), (1 / 255, 1), (0.4999 / 255, 0)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_float_image_is_rounded_to_the_nearest_of_256_levels(value: float, level: int, dtype: torch.dtype) -> None:
    image = LogEntry(IMAGE_ENTRY, torch.full((1, 2, 2), value, dtype=dtype)).value
    torch.testing.assert_close(image, torch.full((1, 2, 2), level, dtype=torch.uint8))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_the_ends_of_an_image_in_half_precision_are_black_and_white(dtype: torch.dtype) -> None:
    image = LogEntry(IMAGE_ENTRY, torch.tensor([0.0, 1.0], dtype=dtype).reshape(1, 1, 2)).value
    assert image.flatten().tolist() == [0, 255]


@given(st.integers(min_value=0, max_value=255))
def test_a_level_survives_the_conversion_to_float_and_back(level: int) -> None:
    assert LogEntry(IMAGE_ENTRY, torch.full((1, 1, 1), level) / 255).value.item() == level


@given(st.sampled_from([1, 3, 4]), st.integers(1, 5), st.integers(1, 5))
def test_a_uint8_image_is_kept_as_it_is(channels: int, height: int, width: int) -> None:
    image = torch.randint(256, (channels, height, width), dtype=torch.uint8)
    torch.testing.assert_close(LogEntry(IMAGE_ENTRY, image).value, image)


@pytest.mark.parametrize("shape", [(), (2,), (4, 4), (2, 4, 4), (5, 4, 4), (6, 4, 3), (8, 1, 4, 4), (1, 0, 4)])
def test_an_image_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"\(channels, height, width\)") as caught:
        LogEntry(IMAGE_ENTRY, torch.zeros(shape))
    assert str(shape) in str(caught.value)


@pytest.mark.parametrize("value", [-0.01, 1.01, 255.0, float("nan"), float("inf")])
def test_a_float_image_outside_of_0_and_1_is_refused(value: float) -> None:
    image = torch.zeros(1, 2, 2)
    image[0, 1, 1] = value
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\]"):
        LogEntry(IMAGE_ENTRY, image)


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.int8, torch.complex64])
def test_an_image_of_another_dtype_is_refused(dtype: torch.dtype) -> None:
    with pytest.raises(TypeError, match=str(dtype)):
        LogEntry(IMAGE_ENTRY, torch.zeros(1, 2, 2, dtype=dtype))


@pytest.mark.parametrize("data_type", [IMAGE_ENTRY, HISTOGRAM_ENTRY])
@pytest.mark.parametrize("value", [[0.0, 1.0], 1.0, "text", None])
def test_a_value_that_is_not_a_tensor_is_refused(data_type: EntryType, value: Any) -> None:
    with pytest.raises(TypeError, match=f"must be a tensor, got {type(value).__name__}"):
        LogEntry(data_type, value)


@pytest.mark.parametrize(
    ("data_type", "value"),
    [
        (IMAGE_ENTRY, torch.zeros(1, 2, 2)),
        (IMAGE_ENTRY, torch.zeros(1, 2, 2, dtype=torch.uint8)),
        (HISTOGRAM_ENTRY, torch.zeros(4)),
    ],
)
def test_a_tensor_changed_afterwards_does_not_change_the_entry(data_type: EntryType, value: Tensor) -> None:
    entry = LogEntry(data_type, value)
    value.fill_(1)
    assert not entry.value.any()


@pytest.mark.parametrize("data_type", [IMAGE_ENTRY, HISTOGRAM_ENTRY])
def test_an_entry_holds_no_graph(data_type: EntryType) -> None:
    value = torch.zeros(1, 2, 2, requires_grad=True)
    assert not LogEntry(data_type, value * 1).value.requires_grad


# Histograms, plots, texts and tables


@given(st.lists(st.integers(0, 4), min_size=0, max_size=3), st.sampled_from([torch.int64, torch.float64, torch.bool]))
def test_a_histogram_is_flat_and_float32_and_needs_a_value(shape: list[int], dtype: torch.dtype) -> None:
    values = torch.ones(shape, dtype=dtype)
    if values.numel() == 0:
        with pytest.raises(ValueError, match="at least one"):
            LogEntry(HISTOGRAM_ENTRY, values)
    else:
        torch.testing.assert_close(LogEntry(HISTOGRAM_ENTRY, values).value, torch.ones(values.numel()))


def test_a_histogram_of_complex_numbers_is_refused() -> None:
    with pytest.raises(ValueError, match=r"real number, got a torch\.complex64"):
        LogEntry(HISTOGRAM_ENTRY, torch.ones(2, dtype=torch.complex64))


def test_a_plot_is_the_figure_itself() -> None:
    figure = TinyFigure()
    assert LogEntry(PLOT_ENTRY, figure).value is figure


@pytest.mark.parametrize("value", [torch.zeros(3, 2, 2), "figure.png", None])
def test_a_plot_that_cannot_be_saved_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match=f"a matplotlib figure, got {type(value).__name__}"):
        LogEntry(PLOT_ENTRY, value)


@given(st.text())
def test_a_text_is_kept_as_it_is(text: str) -> None:
    assert LogEntry(TEXT_ENTRY, text).value == text


@pytest.mark.parametrize("value", [b"text", 1, None, ["text"]])
def test_a_text_that_is_not_a_string_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match=f"must be a string, got {type(value).__name__}"):
        LogEntry(TEXT_ENTRY, value)


def test_the_columns_of_a_table_become_tuples() -> None:
    columns = {"number": [1, 2], "name": ("a", "b"), "range": range(2)}
    assert LogEntry(TABLE_ENTRY, columns).value == {"number": (1, 2), "name": ("a", "b"), "range": (0, 1)}


def test_a_column_changed_afterwards_does_not_change_the_entry() -> None:
    column = [1, 2]
    entry = LogEntry(TABLE_ENTRY, {"column": column})
    column.append(3)
    assert entry.value["column"] == (1, 2)


def test_columns_of_unequal_length_are_refused() -> None:
    with pytest.raises(ValueError, match=r"equally long, got lengths \{'one': 1, 'two': 2\}"):
        LogEntry(TABLE_ENTRY, {"one": [1], "two": [1, 2]})


@pytest.mark.parametrize("column", ["text", 1, {1, 2}, torch.zeros(2)])
def test_a_column_that_is_not_a_sequence_is_refused(column: Any) -> None:
    with pytest.raises(TypeError, match=r"Column 'name' .* must be a sequence"):
        LogEntry(TABLE_ENTRY, {"name": column})
