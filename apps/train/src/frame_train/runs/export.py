"""A model without the framework: a file of weights, and the lines of Python that load it."""

from pathlib import Path
from typing import cast

import torch
from omegaconf import DictConfig
from safetensors import SafetensorError
from safetensors.torch import save_model
from torch import nn

from frame_train.errors import CompositionError
from frame_train.runs.source import Source, write_value


def export_model(model: nn.Module, config: DictConfig, path: Path) -> str:
    """Write the weights of a model as safetensors, and give the lines that build the model and load them.

    Args:
        model: The model; of several that were trained jointly, the model that holds them as ``models``.
        config: The config that describes it under ``optimization.model``, or ``optimization.models``.
        path: The file to write.

    Raises:
        CompositionError: It can't be written.
    """
    optimization = config.optimization
    source = Source()
    if "model" in optimization:
        name = source.add_variable("model", source.write(optimization.model))
    else:
        name = source.add_variable(
            "models", f"{source.use('torch.nn.ModuleDict')}({source.write(optimization.models)})"
        )
        model = cast(nn.Module, model.models)
    try:
        save_model(model, str(path))
    except (OSError, SafetensorError) as error:
        raise CompositionError(f"`path`: {str(path)!r} can't be written: {error}.") from error
    for dtype in {parameter.dtype for parameter in model.parameters()} - {torch.get_default_dtype()}:
        source.lines.append(f"{name}.to({source.use(str(dtype))})")
    source.lines.append(f"{source.use('safetensors.torch.load_model')}({name}, {write_value(str(path))})")
    source.lines.append(f"{name}.eval()")
    return source.render()
