from pathlib import Path

import pytest

from frame_train.composition.compose import compose_config
from frame_train.experiment.unread import find_unread

HEAD = "# @package _global_\n# My experiment.\ndefaults: [DIGITS_VAE, _self_]\n"


def find(folder: Path, text: str, *arguments: str) -> tuple[list[str], list[str]]:
    """Return the mistakes and the notices of an experiment file."""
    path = folder / "experiment" / "mine.yaml"
    path.parent.mkdir()
    path.write_text(HEAD + text)
    line = [f"--config-dir={folder}", "experiment=mine", *arguments]
    problems, notices = find_unread(compose_config(line), line)
    return [str(problem) for problem in problems], notices


@pytest.mark.parametrize(
    ("text", "key", "nearest"),
    [
        ("params: {bta: 0.1}", "params.bta", "params.beta"),
        ("param: {beta: 0.1}", "param", "params"),
        ("beta: 0.1", "beta", "params.beta"),
        ("train_four: 3 epochs", "train_four", "train_for"),
        ("run: {nmae: mine}", "run.nmae", "run.name"),
        ("monitor: {metrc: ELBO/Train}", "monitor.metrc", "monitor.metric"),
        ("device: {data_rot: here}", "device.data_rot", "device.data_root"),
    ],
)
def test_a_misspelt_key_in_a_file_is_a_mistake_that_names_the_nearest(
    tmp_path: Path, text: str, key: str, nearest: str
) -> None:
    message = f"`{key}`: nothing refers to this key. Did you mean `{nearest}`?"
    assert find(tmp_path, text) == ([message], [])


def test_a_key_without_a_near_one_can_be_referred_to_or_removed(tmp_path: Path) -> None:
    problems, _ = find(tmp_path, "params: {optimizer: {qqq: 1}}")
    assert problems == [
        "`params.optimizer`: nothing refers to this key. Refer to it as `${params.optimizer}`, or remove it."
    ]


@pytest.mark.parametrize(
    "text",
    [
        "params: {own: 1, beta: '${params.own}'}",
        "params: {own: 1, beta: '${.own}'}",
        "params: {own: {deep: 1}, beta: '${params.own.deep}'}",
        "params: {own: {deep: 1}, beta: '${oc.decode:${params[own]}}'}",
        "params: {own: 1, name: own, beta: '${params.${params.name}}'}",
        "params: {own: 1, beta: '${oc.select:params.own,2}'}",
        "params: {own: 1}\nmodel: {beta: '${params}'}",
        "mine: {beta: 1}\nparams: {beta: '${mine.beta}'}",
    ],
)
def test_a_key_that_a_reference_leads_to_is_read(tmp_path: Path, text: str) -> None:
    assert find(tmp_path, text) == ([], [])


def test_a_key_that_only_an_option_not_chosen_reads_is_no_mistake(tmp_path: Path) -> None:
    text = "params: {label_smoothing: 0.1}"
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine.yaml").write_text("beta: ${params.label_smoothing}\n")
    assert find(tmp_path, text) == ([], [])


def test_an_override_that_has_no_effect_is_a_notice(tmp_path: Path) -> None:
    problems, notices = find(tmp_path, "", "+params.betta=0.1", "+prior=mixture")
    assert problems == []
    assert notices == [
        "`+params.betta=0.1` has no effect: nothing refers to `params.betta`. Did you mean `params.beta`?",
        "`+prior=mixture` has no effect: nothing refers to `prior`. Did you mean `+architectures/prior=mixture`?",
    ]


def test_an_override_of_a_key_that_only_another_option_reads_is_a_notice(tmp_path: Path) -> None:
    problems, notices = find(tmp_path, "", "model=AE", "architectures=MNIST_AE", "params.beta=3")
    assert (problems, notices) == ([], ["`params.beta=3` has no effect: nothing refers to `params.beta`."])
