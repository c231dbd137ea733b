"""Names that all loggers use."""

from collections.abc import Mapping

GLOBAL_STEP = "trainer/global_step"
"""Name of the step axis, as Lightning logs it to W&B."""

COUNTERS = "counters/"
"""The prefix of the names of counters."""


def prefix_counters(counters: Mapping[str, int] | None) -> dict[str, int]:
    """Return the counters by the names under which they are logged."""
    return {f"{COUNTERS}{name}": count for name, count in (counters or {}).items()}
