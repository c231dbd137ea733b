"""Exit codes and the exit of the commands."""

import contextlib
import gc
import os
import signal
import sys
import traceback
from collections.abc import Callable, Generator
from types import FrameType

from frame_train.console import print_error, print_notice
from frame_train.errors import CompositionError, EvaluationError, TrainingError
from frame_train.runs.result import Result
from frame_train.signals import list_stopping


def shows_traceback() -> bool:
    """Return whether the user wants the traceback of an error."""
    return "--traceback" in sys.argv or os.environ.get("HYDRA_FULL_ERROR") == "1"


def skip_last_collection() -> None:
    """Skip the garbage collection at exit, which takes a second because of the imported modules."""
    if "triton" not in sys.modules:  # its bindings print a warning about each object that is not collected
        gc.freeze()


def run_reported(run: Callable[[], int], show_traceback: bool) -> int:
    """Run a command and return its exit code: 2 after a mistake in the config, 1 after a failure.

    Args:
        run: Function that runs the command and returns its exit code.
        show_traceback: Whether to print the traceback of an error, too.
    """
    try:
        return run()
    except (CompositionError, TrainingError, EvaluationError) as error:
        if show_traceback:
            traceback.print_exc()
        print_error(str(error))
        return 2 if isinstance(error, CompositionError) else 1


@contextlib.contextmanager
def exiting_on_signals() -> Generator[None]:
    """Exit on a signal as after an error, so that nothing half-made stays. Training has handlers of its own."""
    handlers = {number: signal.signal(number, _exit) for number in list_stopping()}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _exit(number: int, frame: FrameType | None) -> None:
    for other in list_stopping():  # a second signal would interrupt the clean-up
        signal.signal(other, lambda number, frame: None)  # unlike SIG_IGN, no new process inherits it
    print_notice(f"stopped by {signal.Signals(number).name}")
    sys.exit(128 + number)


def get_exit_code(result: Result) -> int:
    """Return the exit code for the result of training."""
    if result.status != "stopped":
        return 0
    return 130 if result.stopped_by == signal.SIGINT else 143
