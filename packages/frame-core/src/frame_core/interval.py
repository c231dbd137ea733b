"""Intervals such as `Interval.parse("60 seconds")`, and clocks that measure them."""

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from math import inf

from frame_core.checks import suggest

_SECONDS = {"seconds": 1.0, "minutes": 60.0, "hours": 3600.0, "days": 86400.0}
_SHORT = {"s": "seconds", "sec": "seconds", "min": "minutes", "mins": "minutes", "h": "hours", "d": "days"}
_TRAINER_UNITS = ("epochs", "global_steps")
_END = "end"
_ROUNDING = 1e-6  # tolerance for sums of fractions of an epoch


@dataclass(frozen=True)
class Interval:
    """An amount of time, epochs, steps or another counter.

    Args:
        amount: Positive amount, in seconds if the unit is a unit of time; infinite for the unit ``end``.
        unit: ``seconds``, ``epochs``, ``global_steps``, the plural of a counter of the optimization, or ``end``.
        text: The text that it is parsed from, for messages.
    """

    amount: float
    unit: str
    text: str = field(default="", compare=False, repr=False)

    @classmethod
    def parse(cls, text: str, allow_end: bool = False) -> "Interval":
        """Parse a number and a unit: seconds, minutes, hours, days, epochs, global_steps or any counter.

        Units of time may be short: s, min, h, d.

        Args:
            text: The text.
            allow_end: Whether ``end`` is an interval, which passes only when training ends.

        Raises:
            ValueError: ``text`` is not an interval.

        >>> Interval.parse("5 minutes")
        Interval(amount=300.0, unit='seconds')
        >>> Interval.parse("1 epoch")
        Interval(amount=1.0, unit='epochs')
        >>> Interval.parse("end", allow_end=True)
        Interval(amount=inf, unit='end')
        """
        if allow_end and str(text).strip() == _END:
            return cls(inf, _END)
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z_]\w*)\s*", str(text))
        if match is None or float(match[1]) == 0:
            or_end = ", or 'end'" if allow_end else ""
            raise ValueError(
                "An interval must be a positive number and a unit, such as '60 seconds', '2 epochs' or "
                f"'500 iterations'{or_end}, got {text!r}."
            )
        unit = _SHORT.get(match[2]) or (match[2] if match[2].endswith("s") else f"{match[2]}s")
        if unit in _SECONDS:
            return cls(float(match[1]) * _SECONDS[unit], "seconds", text)
        return cls(float(match[1]), unit, text)

    @property
    def counter(self) -> str | None:
        """The counter of the optimization that the unit names, or None for time, epochs, steps and the end."""
        return None if self.unit in ("seconds", *_TRAINER_UNITS, _END) else self.unit.removesuffix("s")

    def check_unit(self, counters: Collection[str]) -> None:
        """Check that the unit can be measured.

        Raises:
            ValueError: The unit is neither time, epochs nor steps, nor one of the counters.
        """
        if self.counter is not None and self.counter not in counters:
            choices = [*_SECONDS, *_TRAINER_UNITS, *(f"{counter}s" for counter in counters)]
            raise ValueError(
                f"The unit of an interval must be one of {', '.join(choices)}, got {self.text!r}."
                f"{suggest(self.unit, choices)}"
            )


class Clock:
    """Measures whether an interval has passed, from readings of time or of a counter."""

    def __init__(self, interval: Interval) -> None:
        self.interval = interval
        self._passed = 0.0
        self._reading: float | None = None

    def start(self, reading: float) -> None:
        """Take the first reading. Later calls have no effect."""
        if self._reading is None:
            self._reading = reading

    def advance(self, reading: float) -> bool:
        """Take a reading, and return whether the interval has passed since the last restart."""
        self.start(reading)
        assert self._reading is not None
        self._passed += reading - self._reading
        self._reading = reading
        return self._passed >= self.interval.amount * (1 - _ROUNDING)

    def restart(self, reading: float) -> None:
        """Start a new interval."""
        self._passed = 0.0
        self._reading = reading

    @property
    def fraction(self) -> float:
        """Fraction of the interval that has passed since the last restart."""
        return self._passed / self.interval.amount

    def state_dict(self) -> dict[str, float]:
        """Return the amount that has passed of the interval."""
        return {"passed": self._passed}

    def load_state_dict(self, state: dict[str, float]) -> None:
        """Resume within an interval, from the next reading."""
        self._passed = state["passed"]
        self._reading = None
