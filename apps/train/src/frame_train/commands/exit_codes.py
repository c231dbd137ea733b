"""Exit codes of the commands."""

import os
import signal
import sys
from collections.abc import Callable

from frame_train.console import print_error
from frame_train.errors import CompositionError, EvaluationError, TrainingError
from frame_train.runs.result import Result


def shows_traceback() -> bool:
    """Return whether the user wants the traceback of an error."""
    return "--traceback" in sys.argv or os.environ.get("HYDRA_FULL_ERROR") == "1"


def run_reported(run: Callable[[], int], show_traceback: bool) -> int:
    """Run a command and return its exit code: 2 after a mistake in the config, 1 after a failure.

    Args:
        run: Function that runs the command and returns its exit code.
        show_traceback: Whether to raise errors instead of reporting them.
    """
    try:
        return run()
    except (CompositionError, TrainingError, EvaluationError) as error:
        if show_traceback:
            raise
        print_error(str(error))
        return 2 if isinstance(error, CompositionError) else 1


def get_exit_code(result: Result) -> int:
    """Return the exit code for the result of training."""
    if result.status != "stopped":
        return 0
    return 130 if result.stopped_by == signal.SIGINT else 143
