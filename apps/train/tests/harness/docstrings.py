"""A faster import of wandb."""

from pydantic._internal import _docs_extraction


def skip_docstrings_of_fields() -> None:
    """Define the models of pydantic without the docstrings of their fields, which no test reads. Only wandb has them.

    For each model, pydantic looks for them in the files of all imported modules. Beside the libraries of a training,
    this takes more time than all else in the import of wandb.
    """
    assert hasattr(_docs_extraction, "_extract_source_from_frame")
    _docs_extraction._extract_source_from_frame = lambda cls: None
