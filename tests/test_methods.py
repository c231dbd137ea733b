"""The losses written by hand, with which the benchmark of the methods compares each model."""

from collections.abc import Callable, Iterator
from itertools import count
from multiprocessing import Pipe
from pathlib import Path

import pytest
import torch
from hydra.core.global_hydra import GlobalHydra
from torch import Tensor

from benchmarks.by_hand import read_settings
from benchmarks.comparison import Ratio
from benchmarks.loops.batches import binarize, draw_views
from benchmarks.loops.comparison import compare_losses
from benchmarks.loops.method import Batch
from benchmarks.loops.table import METHODS
from benchmarks.ours import compose
from benchmarks.report import Table, format_markdown
from benchmarks.turns import Meter
from frame_train.composition.objects import Composition
from frame_train.composition.settings import config_directory, workspace
from frame_train.data import Binarized, InMemoryDataset, TwoViews
from shortcuts import take_shortcuts

SHAPES = {"MNIST": (1, 28, 28), "DIGITS": (1, 8, 8), "Shapes": (3, 32, 32), "Moons": (2,), "CorrelatedGaussians": (20,)}
N_EXAMPLES = 16


@pytest.fixture(scope="module", autouse=True)
def _shortcuts() -> Iterator[None]:
    take_shortcuts()
    torch.set_num_threads(1)
    yield
    GlobalHydra.instance().clear()


def make_batch(shape: tuple[int, ...]) -> dict[str, Tensor]:
    """Make a batch with everything that a method reads; `x` has 17 levels, as the digits have."""
    x = torch.randint(17, (N_EXAMPLES, *shape)) / 16
    v_1, v_2 = torch.rand(2, N_EXAMPLES, *shape)
    return {"x": x, "y": torch.randint(10, (N_EXAMPLES,)), "v1": v_1, "v2": v_2}


def test_every_shipped_model_has_a_loop_and_a_measured_row() -> None:
    models = {path.stem for path in (config_directory() / "model").glob("*.yaml")}
    page = (workspace() / "docs" / "performance.md").read_text(encoding="utf-8")
    assert set(METHODS) == models
    assert [name for name in models if f"\n| {name} | `" not in page] == []


@pytest.mark.parametrize("name", METHODS)
def test_a_loss_written_by_hand_and_its_gradients_are_those_of_the_model(name: str) -> None:
    method = METHODS[name]
    config = compose(Path(), method.arguments)
    torch.manual_seed(1)
    model = Composition().instantiate(config.model)
    data = method.arguments[0].removeprefix("+experiment=").partition("_")[0]
    batches = [make_batch(SHAPES[data]) for _ in range(2)]
    if name == "M2":
        batches[0]["y"][::2] = -1
    compare_losses(model, method, read_settings(config, n_examples=1000), batches)


@pytest.mark.parametrize(("wrapper", "by_hand"), [(Binarized, binarize), (TwoViews, draw_views)])
def test_a_batch_made_by_hand_is_that_of_the_data_set(wrapper: type, by_hand: Callable[..., Batch]) -> None:
    x = torch.rand(N_EXAMPLES, 1, 28, 28)
    torch.manual_seed(0)
    expected = wrapper(InMemoryDataset({"x": x})).get_batch(torch.arange(N_EXAMPLES))
    torch.manual_seed(0)
    found = by_hand({"x": x})
    torch.testing.assert_close(found, {name: expected[name] for name in found})


def test_another_loss_is_found() -> None:
    config = compose(Path(), METHODS["InfoNCE"].arguments)
    model = Composition().instantiate(config.model)
    with pytest.raises(AssertionError, match="not close"):
        compare_losses(model, METHODS["NWJ"], read_settings(config, 1000), [make_batch(SHAPES["CorrelatedGaussians"])])


def test_a_turn_ends_with_a_whole_step_group_whose_steps_it_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = count(0, 90)  # a turn of 84 steps takes nine groups of ten, of one second for each step
    monkeypatch.setattr("benchmarks.turns.time.process_time", lambda: next(seconds))
    pipe, other = Pipe()
    for _ in range(2):
        pipe.send(84)
    meter = Meter(other)
    for _ in range(9):
        assert not pipe.poll()
        meter.tick(10)
    cpu, _, _ = pipe.recv()
    assert cpu == 1


def test_a_table_in_markdown_has_a_line_for_each_row() -> None:
    table = Table("Steps", {"VAE": {"examples/s": 1234.0, "time / by hand": Ratio(1.1, 1.0, 1.25)}})
    assert format_markdown(table).splitlines() == [
        "|  | examples/s | time / by hand |",
        "| --- | --- | --- |",
        "| VAE | 1,234 | 1.10 (1.00 to 1.25) |",
    ]
