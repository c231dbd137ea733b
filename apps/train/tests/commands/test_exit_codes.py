import os
import signal

import pytest

from frame_train.commands.exit_codes import exiting_on_signals


def test_a_second_signal_does_not_interrupt_the_clean_up(capsys: pytest.CaptureFixture[str]) -> None:
    handler = signal.getsignal(signal.SIGTERM)
    cleaned: list[bool] = []

    @exiting_on_signals()
    def run() -> None:
        try:
            os.kill(os.getpid(), signal.SIGINT)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            cleaned.append(True)

    with pytest.raises(SystemExit) as error:
        run()
    assert (cleaned, error.value.code) == ([True], 130)
    assert capsys.readouterr().err == "stopped by SIGINT\n"
    assert signal.getsignal(signal.SIGTERM) == handler
