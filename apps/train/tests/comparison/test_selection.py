from pathlib import Path

import pytest

from frame_train.comparison.selection import select, sort
from frame_train.comparison.summary import Summary
from frame_train.comparison.table import find_varying
from frame_train.errors import CompositionError

RUNS = [
    Summary(Path("a"), "MNIST", "VAE", "complete", settings={"params.beta": 1, "seed": 0}, best={"ELBO": -1.0}),
    Summary(Path("b"), "MNIST", "GAN", "killed", settings={"params.beta": 0.1, "seed": 1}, last={"ELBO": -3.0}),
    Summary(Path("c"), "DIGITS", "VAE", "complete", settings={"model": "VAE", "flag": True, "none": None, "seed": 2}),
    Summary(Path("d"), "DIGITS", "VAE", "complete", settings={"seed": 10}, best={"ELBO": float("nan")}),
]


def list_names(runs: list[Summary]) -> str:
    return "".join(run.directory.name for run in runs)


@pytest.mark.parametrize(
    ("filters", "selected"),
    [
        ([], "abcd"),
        (["status=complete"], "acd"),
        (["project=MNIST", "name=VAE"], "a"),
        (["project=M*"], "ab"),
        (["params.beta=1.0"], "a"),
        (["params.beta=1e-1"], "b"),
        (["model=vae"], ""),
        (["flag=true"], "c"),
        (["flag=1"], ""),
        (["none=null"], "abcd"),
        (["seed=1"], "b"),
    ],
    ids=str,
)
def test_runs_are_selected_by_all_filters(filters: list[str], selected: str) -> None:
    assert list_names(select(RUNS, filters)) == selected


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("complete", "A filter has the form `key=value`, such as `status=complete`, got `complete`."),
        ("params.bta=1", "No run has the setting `params.bta`. Did you mean `params.beta`?"),
        ("=1", "No run has the setting ``."),
    ],
)
def test_a_wrong_filter_is_explained(word: str, message: str) -> None:
    with pytest.raises(CompositionError) as raised:
        select(RUNS, [word])
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("key", "is_descending", "order"),
    [
        ("seed", False, "abcd"),
        ("seed", True, "dcba"),
        ("ELBO", False, "cdba"),  # without the metric first; the best value, or else the last
        ("ELBO", True, "cdab"),
        ("name", False, "bacd"),
        ("status", False, "acdb"),
    ],
)
def test_runs_are_sorted_by_a_field_a_setting_or_a_metric(key: str, is_descending: bool, order: str) -> None:
    assert list_names(sort(RUNS, key, is_descending)) == order


def test_an_unknown_key_to_sort_by_is_explained() -> None:
    with pytest.raises(CompositionError, match=r"^`--sort`: no run has `ELB`. Did you mean `ELBO`\?$"):
        sort(RUNS, "ELB", is_descending=False)


def test_only_settings_that_differ_vary() -> None:
    assert find_varying(RUNS[:1]) == []
    assert find_varying(RUNS[:2]) == ["params.beta", "seed"]
