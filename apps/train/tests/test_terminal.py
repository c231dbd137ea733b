import re

import pytest

from frame_train.terminal import print_config
from runs import compose_train


def test_the_tree_is_complete_in_a_terminal_of_80_columns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # as on a terminal
    monkeypatch.setenv("COLUMNS", "80")
    config = compose_train("+experiment=MNIST_VAE")
    config.run.directory = "/runs/" + "x" * 100
    print_config(config, "1,895,568 parameters, cpu, precision 32-true")
    lines = [re.sub(r"\x1b\[[\d;]*m", "", line) for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == "MNIST / VAE: 1,895,568 parameters, cpu, precision 32-true"
    assert max(map(len, lines)) <= 80
    text = "".join(re.sub(r"[│├└─\s]", "", line) for line in lines)
    assert "lr=0.001,num_workers=0" in text
    assert "batch_size=128" in text
    assert "x" * 100 in text
