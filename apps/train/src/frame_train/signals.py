"""Signals that stop a command."""

import signal


def list_stopping() -> list[signal.Signals]:
    """Return the signals that stop this process. SIGHUP is not one of them if ``nohup`` has started it."""
    numbers = [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1]
    return numbers if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN else [*numbers, signal.SIGHUP]
