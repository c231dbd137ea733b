"""Compilation of a model's loss, with fused kernels and optional CUDA graphs."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from frame_core import Model, as_tensors
from frame_train.errors import TrainingError, suggest

MODES = ("default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs")

Loss = Callable[[Mapping[str, Tensor], int], Mapping[str, Tensor | float]]
"""Function from a batch and its position in the epoch to the quantities of `Model.compute_loss`."""


class CompilableLoss:
    """The loss of a model, compiled at its first call if ``compile`` is set.

    Args:
        model: The model. Its method is read at the first call, because a strategy may have replaced it.
        compile: Whether to compile, or the mode of `torch.compile`.

    Raises:
        TypeError: The model is a network without a loss.
        ValueError: ``compile`` is neither a boolean nor a mode.
    """

    def __init__(self, model: Model, compile: bool | str) -> None:  # noqa: A002  # as torch calls it
        if not hasattr(model, "compute_loss"):
            name = type(model).__name__
            raise TypeError(f"`model` must have a method `compute_loss(data, data_idx)`, and `{name}` has none.")
        self._model = model
        self._loss: Loss | None = None
        self._mode = check_mode(compile)

    def __call__(self, data: Mapping[str, Tensor], data_idx: int) -> Mapping[str, Any]:
        """Compute the quantities of a batch.

        Raises:
            TrainingError: The loss must be compiled, and the machine has no compiler.
        """
        if self._loss is None:
            loss = self._model.compute_loss
            self._loss = loss if self._mode is None else compile_loss(loss, self._mode)
        return self._loss(data, data_idx)


def check_mode(compile_mode: Any) -> str | None:
    """Return the mode of `torch.compile` for a value of ``optimization.compile``, or None if nothing is compiled.

    Raises:
        ValueError: The value is neither a boolean nor a mode.
    """
    if isinstance(compile_mode, bool):
        return "default" if compile_mode else None
    if compile_mode not in MODES:
        raise ValueError(
            f"`compile` must be true, false or a mode of `torch.compile`, {', '.join(map(repr, MODES))}, "
            f"got {compile_mode!r}.{suggest(str(compile_mode), (*MODES, 'true', 'false'))}"
        )
    return compile_mode


def compile_loss(loss: Loss, mode: str) -> Loss:
    """Compile the loss of a model.

    The random numbers are those of the uncompiled loss. Even in a CUDA graph, they follow the global generators, which
    are seeded before each step. Each batch size is compiled separately, so that the code of a step does not depend on
    earlier batch sizes.

    Args:
        loss: The loss.
        mode: One of `MODES`.

    Raises:
        TrainingError: The machine has no compiler. The loss itself raises it if the compiler fails.
    """
    _check_compiler()
    from torch._inductor import list_mode_options  # takes seconds to import, and is needed only here
    from torch._inductor.exc import CppCompileError, InductorError

    options = {**list_mode_options(mode), "fallback_random": True}
    compiled = torch.compile(loss, dynamic=False, options=options)

    def compute(data: Mapping[str, Tensor], data_idx: int) -> dict[str, Any]:
        torch.compiler.cudagraph_mark_step_begin()
        try:
            quantities = as_tensors(compiled(data, data_idx))  # the next call of a CUDA graph overwrites these
        except InductorError as error:
            inner = error.inner_exception
            lines = (inner.output if isinstance(inner, CppCompileError) else str(inner)).strip().splitlines()
            raise TrainingError(
                f"`optimization.compile`: the compiler of torch failed: {lines[0] if lines else 'it printed nothing'}. "
                "Check that `g++` compiles a program, or set `optimization.compile=false`."
            ) from error
        return {name: value if name == "loss" else value.clone() for name, value in quantities.items()}

    return compute


def _check_compiler() -> None:
    """Check that the machine has a C++ compiler, which is needed even for a GPU.

    Raises:
        TrainingError: The machine has no compiler.
    """
    from torch._inductor.cpp_builder import get_cpp_compiler
    from torch._inductor.exc import InvalidCxxCompiler

    try:
        get_cpp_compiler()
    except InvalidCxxCompiler:
        raise TrainingError(
            "`optimization.compile` needs a C++ compiler, and this machine has none. Install `g++`, or set "
            "`optimization.compile=false`."
        ) from None
