"""A loss that torch compiles: fused kernels, and CUDA graphs where they are asked for."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from frame_train.errors import TrainingError, suggest

MODES = ("default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs")

Loss = Callable[[Mapping[str, Tensor], int], dict[str, Tensor]]


def check_mode(compile_mode: Any) -> str | None:
    """Give the mode that ``optimization.compile`` means; None for none.

    Raises:
        ValueError: It is neither a boolean nor a mode.
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

    Random numbers are those of the loss that is not compiled, and follow the global generators, also in a CUDA
    graph: a seed is set before each step. Each size of a batch is compiled by itself, so that how a step is
    computed does not depend on which sizes came before.

    Args:
        loss: What is compiled.
        mode: One of `MODES`.

    Raises:
        TrainingError: There is no compiler on this machine.
    """
    _check_compiler()
    from torch._inductor import list_mode_options  # seconds to import, for this option alone

    options = {**list_mode_options(mode), "fallback_random": True}
    compiled = torch.compile(loss, dynamic=False, options=options)

    def compute(data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        torch.compiler.cudagraph_mark_step_begin()
        quantities = compiled(data, data_idx)  # a CUDA graph writes the next ones where these lie
        return {name: value if name == "loss" else value.clone() for name, value in quantities.items()}

    return compute


def _check_compiler() -> None:
    """Check that there is a compiler of C++, which code for a GPU needs too.

    Raises:
        TrainingError: There is none.
    """
    from torch._inductor.cpp_builder import get_cpp_compiler
    from torch._inductor.exc import InvalidCxxCompiler

    try:
        get_cpp_compiler()
    except InvalidCxxCompiler:
        raise TrainingError(
            "`optimization.compile` needs a compiler of C++, and this machine has none: install `g++`, or set "
            "`optimization.compile=false`."
        ) from None
