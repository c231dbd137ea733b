"""Packages that extras of frame-eval install."""

from importlib import import_module
from typing import Any


def import_extra(module: str, package: str, evaluation: str) -> Any:
    """Import a module on first use.

    Args:
        module: Name of the module, such as ``sklearn.svm``.
        package: Name of its package, and of the extra.
        evaluation: Name of the evaluation that needs it.

    Raises:
        ModuleNotFoundError: The package is not installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0]:
            raise
        message = f"`{evaluation}` needs {package}: `pip install frame-eval[{package}]`."
        raise ModuleNotFoundError(message, name=error.name) from None
