"""Collation of examples into a batch."""

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any, cast

from torch import Tensor
from torch.utils.data import default_collate

_LISTED = (str, bytes, PathLike, list, tuple, Mapping)


def collate(examples: Sequence[Any], names: Sequence[str] | None = None) -> dict[str, Any]:
    """Make a batch of examples.

    Args:
        examples: Dictionaries with the same names, or tuples.
        names: Names of the elements of a tuple, as in `name_elements`.

    Returns:
        A dictionary. Tensors, arrays and numbers are stacked to tensors of shape (batch, ...). Strings, paths, lists,
        tuples and dictionaries become lists with the value of each example.

    Raises:
        TypeError: An example is neither a dictionary nor a tuple, or has a value of another type, such as a PIL image.
        ValueError: The examples differ in their names, or in the shape or type of a value.
    """
    named = [name_elements(example, names) for example in examples]
    if any(example.keys() != named[0].keys() for example in named):
        found = " and ".join({", ".join(map(repr, example)): None for example in named})
        raise ValueError(f"The examples of a batch must have the same names, got {found}.")
    return {name: _collate_values(name, [example[name] for example in named]) for name in named[0]}


def name_elements(value: Any, names: Sequence[str] | None = None) -> Mapping[str, Any]:
    """Return an example or a batch as a dictionary.

    Args:
        value: A dictionary, which is returned unchanged, or a tuple or list.
        names: Names of the elements of a tuple; None for ``x``, or ``x`` and ``y``.

    Raises:
        TypeError: ``value`` is neither, or has not as many elements as there are names.
    """
    if isinstance(value, Mapping):
        return cast(Mapping[str, Any], value)
    expected = "(x,) or (x, y)" if names is None else f"({', '.join(names)})"
    if isinstance(value, tuple | list):
        elements = cast(Sequence[Any], value)
        if len(elements) in ((1, 2) if names is None else (len(names),)):
            return dict(zip(names or ("x", "y"), elements))
        hint = " Name its elements with `names` of `frame_train.data.Collated`." if elements and names is None else ""
        found = f"a {type(elements).__name__} of length {len(elements)}"
        raise TypeError(f"An example must be a dictionary or a tuple, {expected}, got {found}.{hint}")
    raise TypeError(f"An example must be a dictionary or a tuple, {expected}, got {type(value).__name__}.")


def _collate_values(name: str, values: Sequence[Any]) -> Any:
    if all(map(_is_numeric, values)):
        return _stack(name, values)
    if all(isinstance(value, _LISTED) for value in values):
        return list(values)
    kinds = {f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins."): None for value in values}
    kind, *others = kinds
    if others:
        raise ValueError(f"`{name}` must have one type in all examples, got {' and '.join(kinds)}.")
    message = f"`{name}` of an example must be a tensor, an array, a number, a string or a list, got {kind}."
    if kind.startswith("PIL."):
        message += " Set `transform: {_target_: torchvision.transforms.ToTensor}` to turn images into tensors."
    raise TypeError(message)


def _is_numeric(value: Any) -> bool:
    return isinstance(value, Tensor | int | float) or (
        type(value).__module__ == "numpy" and value.dtype.kind not in "SUO"  # neither texts nor objects
    )


def _stack(name: str, values: Sequence[Any]) -> Tensor:
    shapes = {tuple(getattr(value, "shape", ())): None for value in values}
    if len(shapes) > 1:
        raise ValueError(
            f"`{name}` must have one shape in all examples of a batch, got {' and '.join(map(str, list(shapes)[:2]))}. "
            "Pad it in the data set, or for each batch in a `collate_fn`, with `frame_train.data.Collated`."
        )
    return default_collate(list(values))
