import pytest

from frame_train.comparison.grid import Job, group_by_setting
from frame_train.comparison.grid_table import print_settings

METRICS = {f"Loss/Validation/quantity_{number}": float(number) for number in range(12)}


@pytest.fixture
def settings():
    last = {**METRICS, "Accuracy/Validation": 0.9}
    jobs = [
        Job([f"params.beta={beta}", f"seed={seed}"], "complete", None, "Accuracy/Validation", "max", last)
        for beta in (0.1, 1)
        for seed in range(2)
    ]
    return group_by_setting(jobs)


@pytest.mark.parametrize("width", [80, 120])
def test_names_of_metrics_are_whole_and_the_monitored_one_comes_first(settings, width, capsys, monkeypatch) -> None:
    monkeypatch.setattr("frame_train.comparison.grid_table.make_wide_console", lambda: _make_console(width))
    print_settings(settings)
    output = capsys.readouterr()
    lines = output.out.splitlines()
    assert max(map(len, lines)) <= width
    titles = [title.strip() for title in lines[1].strip("┃ ").split("┃")]
    assert titles[:3] == ["setting", "runs", "Accuracy/Validation"]
    assert set(titles[3:]) <= set(METRICS)
    assert len(titles) >= 3
    assert f"Metrics without room: {len(METRICS) - len(titles[3:])}. `results.csv`" in output.err


def test_all_metrics_are_shown_if_they_fit(settings, capsys, monkeypatch) -> None:
    monkeypatch.setattr("frame_train.comparison.grid_table.make_wide_console", lambda: _make_console(500))
    print_settings(settings)
    output = capsys.readouterr()
    assert all(name in output.out for name in METRICS)
    assert output.err == ""


def _make_console(width: int):
    from rich.console import Console

    return Console(width=width)
