"""How a model is updated, as far as evaluations and callbacks need to know."""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from frame_core.data import SizedDataset
from frame_core.models import Model


@runtime_checkable
class Optimization(Protocol):
    """A model, the data it learns from, and how far it has come."""

    @property
    def model(self) -> Model:
        """The model that is optimised."""
        ...

    @property
    def data(self) -> Mapping[str, SizedDataset]:
        """The splits of the data: ``train``, ``valid``, ``test`` and others."""
        ...

    @property
    def counters(self) -> Mapping[str, int]:
        """What was counted so far: at least ``iteration``, the number of training steps."""
        ...
