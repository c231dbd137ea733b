import csv
import json
import math
from pathlib import Path
from typing import Any

import pytest
from optuna import create_trial
from optuna.trial import FrozenTrial, TrialState

from frame_train.search.results import list_results, write_results


def make_trial(number: int, state: TrialState, value: float | None = None, **attributes: Any) -> FrozenTrial:
    trial = create_trial(state=state, value=value, user_attrs=attributes)
    trial.number = number
    return trial


TRIALS = [
    make_trial(0, TrialState.COMPLETE, 1.0, values={"params.beta": 0.5}, directory="/runs/a"),
    make_trial(1, TrialState.PRUNED, 9.0, values={"params.beta": "<script>"}, directory="/runs/b"),
    make_trial(2, TrialState.FAIL),  # killed before it had values
    make_trial(3, TrialState.COMPLETE, 2.0, values={"params.beta": [8, 16]}, directory="/runs/c"),
]


@pytest.mark.parametrize(("is_maximized", "order"), [(True, [3, 0, 1, 2]), (False, [0, 3, 1, 2])])
def test_the_best_complete_trial_is_the_first(is_maximized: bool, order: list[int]) -> None:
    rows = list_results(TRIALS, "loss", is_maximized)
    assert [row["trial"] for row in rows] == order
    assert rows[0]["loss"] == (2.0 if is_maximized else 1.0)


def test_results_of_failed_trials_are_written_too(tmp_path: Path) -> None:
    pruned = make_trial(4, TrialState.PRUNED, math.inf, values={"params.beta": 1}, directory="/runs/d")
    rows = list_results([*TRIALS, pruned], "loss", is_maximized=True)
    write_results(tmp_path, rows, "loss")
    assert json.loads((tmp_path / "results.json").read_text(), parse_constant=pytest.fail) == rows
    table = list(csv.DictReader((tmp_path / "results.csv").read_text().splitlines()))
    assert [row["params.beta"] for row in table] == ["[8, 16]", "0.5", "<script>", "", "1"]
    page = (tmp_path / "report.html").read_text()
    assert "&lt;script&gt;" in page
    assert ">a</a>" in page
