"""Parts of a model that are not trained."""

from functools import partial
from typing import TypeVar

from torch import nn

_Module = TypeVar("_Module", bound=nn.Module)


def freeze(module: _Module) -> _Module:
    """Stop the training of a module: no gradient for its parameters, and eval mode whatever the model is set to.

    So dropout and batch normalization behave as in an evaluation. Gradients still reach the inputs of the module.

    Args:
        module: The module, which is modified.

    Returns:
        The same module.

    Raises:
        TypeError: ``module`` is not a module.

    >>> model = nn.Sequential(freeze(nn.Linear(2, 2)), nn.Linear(2, 1)).train()
    >>> [part.training for part in model], [parameter.requires_grad for parameter in model.parameters()]
    ([False, True], [False, False, True, True])
    """
    if not isinstance(module, nn.Module):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"`module` must be a torch module, got {module!r}.")
    module.requires_grad_(False)
    module.train = partial(_remain_in_eval_mode, module)  # the model calls it for each of its parts
    return module.eval()


def _remain_in_eval_mode(module: _Module, mode: bool = True) -> _Module:
    return type(module).train(module, False)
