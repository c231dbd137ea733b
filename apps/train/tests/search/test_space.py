import math
from typing import Any

import optuna
import pytest
import yaml

from frame_train.errors import CompositionError
from frame_train.search.space import list_samples, parse_parameters, write_override


def draw(entry: Any, n_trials: int = 200) -> list[Any]:
    (parameter,) = parse_parameters({"params.x": entry}, "space.yaml")
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    return [parameter.suggest(study.ask()) for _ in range(n_trials)]


@pytest.fixture(autouse=True)
def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def test_a_uniform_parameter_covers_its_range() -> None:
    values = draw({"min": 0.5, "max": 2.5})
    assert all(0.5 <= value <= 2.5 for value in values)
    assert sum(values) / len(values) == pytest.approx(1.5, abs=4 * 2 / math.sqrt(12 * len(values)))  # 4 standard errors


def test_the_logarithm_of_a_log_uniform_parameter_is_uniform() -> None:
    values = draw({"distribution": "log_uniform_values", "min": 0.01, "max": 10.0})
    n_low = sum(value < math.sqrt(0.01 * 10.0) for value in values)
    assert n_low / len(values) == pytest.approx(0.5, abs=4 * 0.5 / math.sqrt(len(values)))  # 4 standard errors


def test_two_integers_are_a_range_of_integers() -> None:
    values = draw({"min": 1, "max": 3})
    assert set(values) == {1, 2, 3}
    assert all(type(value) is int for value in values)


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"distribution": "q_uniform", "min": 0.1, "max": 0.4, "q": 0.1}, {0.1, 0.2, 0.3, 0.4}),
        ({"distribution": "q_uniform", "min": 1, "max": 3}, {1, 2, 3}),
        ({"distribution": "q_log_uniform_values", "min": 16, "max": 64, "q": 16}, {16, 32, 48, 64}),
        ({"value": 7}, {7}),
        ({"values": ["a,b", None, True, 0.5]}, {"a,b", None, True, 0.5}),
        ({"distribution": "categorical", "values": [1, 2]}, {1, 2}),
    ],
)
def test_values_are_those_of_the_distribution(entry: Any, expected: set[Any]) -> None:
    values = set(draw(entry))
    assert values == expected
    assert {type(value) for value in values} == {type(value) for value in expected}


def test_lists_may_be_choices() -> None:
    assert {tuple(value) for value in draw({"values": [[8], [8, 16]]})} == {(8,), (8, 16)}


def test_samples_contain_each_choice_and_both_ends() -> None:
    content = {"params.beta": {"min": 0.5, "max": 1.5}, "model": {"values": ["VAE", "AE", "VIB"]}}
    samples = list(list_samples(parse_parameters(content, "space.yaml")))
    assert samples == [
        ["params.beta=0.5", "model='VAE'"],
        ["params.beta=1.5", "model='AE'"],
        ["params.beta=1.5", "model='VIB'"],
    ]


def test_an_override_quotes_what_hydra_would_interpret() -> None:
    assert write_override("key", "a,b") == "key='a,b'"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "`parameters` must be a mapping of keys to distributions, got None"),
        ("[params.beta]", "`parameters` must be a mapping of keys to distributions"),
        ("params.beta: 3", "`parameters.params.beta` must be a mapping such as `{min: 0.1, max: 1.0}`, got 3"),
        ("params: {parameters: {beta: {min: 0, max: 1}}}", "Write `params.name` instead"),
        (
            "x: {distribution: log_uniform, min: 1, max: 2}",
            "`log_uniform` has exponents as bounds. Use `log_uniform_values` instead.",
        ),
        ("x: {distribution: normal, mu: 0, sigma: 1}", "`distribution` must be one of constant, categorical,"),
        ("x: {distribution: [uniform], min: 0, max: 1}", "`distribution` must be one of"),
        ("x: {min: 0.1}", "uniform needs `min` and `max`, got `min`."),
        ("x: {distribution: uniform}", "uniform needs `min` and `max`, got nothing."),
        ("x: {}", "uniform needs `min` and `max`, got nothing."),
        ("x: {min: 1, max: 2, step: 1}", "int_uniform needs `min` and `max`, got `min`, `max`, `step`."),
        ("x: {values: [1], probabilities: [1]}", "categorical needs `values`, got `values`, `probabilities`."),
        ("x: {values: []}", "`values` must be a list of choices, got []."),
        ("x: {values: 3}", "`values` must be a list of choices, got 3."),
        ("x: {min: 2, max: 1}", "`min` must be at most `max`, got 2 and 1."),
        ("x: {min: low, max: 1}", "`min` must be a number, got 'low'."),
        ("x: {min: 0.0, max: .inf}", "`max` must be a number, got inf."),
        ("x: {distribution: int_uniform, min: 0.5, max: 1}", "`min` must be an integer, got 0.5."),
        ("x: {distribution: log_uniform_values, min: 0, max: 1}", "`min` must be positive, got 0."),
        ("x: {distribution: q_uniform, min: 0, max: 1, q: 0}", "`q` must be positive, got 0."),
    ],
)
def test_a_mistake_is_reported_with_its_key(text: str, message: str) -> None:
    with pytest.raises(CompositionError) as error:
        parse_parameters(yaml.safe_load(text), "space.yaml")
    assert str(error.value).startswith("`space.yaml`: `parameters")
    assert message in str(error.value)
