"""What the evaluations of one moment of a training have computed for one another."""

from collections.abc import Hashable
from typing import Any
from weakref import WeakKeyDictionary

from pytorch_lightning import Trainer

_last: WeakKeyDictionary[Trainer, tuple[Hashable, dict[Hashable, Any]]] = WeakKeyDictionary()


def get_results(trainer: Trainer, moment: Hashable) -> dict[Hashable, Any]:
    """Give what has been computed at a moment; those of the moment before are forgotten.

    Args:
        trainer: The trainer.
        moment: What names it: between two equal ones no weight changes.
    """
    if trainer not in _last or _last[trainer][0] != moment:
        _last[trainer] = (moment, {})
    return _last[trainer][1]
