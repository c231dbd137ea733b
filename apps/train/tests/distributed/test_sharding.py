"""Training of a model that is sharded over two ranks."""

import json
import os
import signal
import time
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from pytorch_lightning import Trainer
from pytorch_lightning.callbacks import EMAWeightAveraging
from torch import nn

from frame_core.testing import TinyModel
from frame_train import load_run
from frame_train.optimization import ShardedStrategy
from frame_train.runs.checkpoint_files import find_newest
from processes import Commands, find_children, is_alive
from runs import ON_TWO_DEVICES, find_run, has_saved, read_description, read_entries, read_weights
from trainers import make_tiny_optimization, make_trainer

RUN = (
    "+experiment=DIGITS_VAE",
    "logging=none",
    "trainer.accelerator=cpu",
    "trainer.devices=2",
    "trainer.max_epochs=3",
    "params.encoder_layers=[32,32]",
    "params.decoder_layers=[32,32]",
    "callbacks.last_checkpoint.save_every=4 iterations",
    "evaluation.elbo_validation.evaluate_every=7 iterations",
)
SHARDED = (
    "trainer.strategy={_target_:frame_train.optimization.ShardedStrategy,"
    "parts:[encoder.network.1,decoder.network.0.*]}"  # the last layers are in no part
)

SABOTAGE = """
import os
import signal
from lightning_fabric.plugins.io.torch_io import TorchCheckpointIO
from pytorch_lightning import Callback

def die_at(step):
    if step == 8 and "SABOTAGED" in os.environ:
        os.kill(os.getpid(), signal.SIGKILL)

class Writing(TorchCheckpointIO):
    def save_checkpoint(self, checkpoint, path, storage_options=None):
        super().save_checkpoint(checkpoint, path, storage_options)
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])
        die_at(checkpoint["global_step"])
        path.write_bytes(content)

class Sending(Callback):
    call_every = 0

    def on_train_start(self, trainer, module):
        self.trainer = trainer

    def state_dict(self):
        if self.trainer.global_rank == 1:
            die_at(self.trainer.global_step)
        return {}
"""
SABOTEURS = {
    "rank 0 while it writes the file": "+trainer.plugins=[{_target_:sabotage.Writing}]",
    "rank 1 before it sends the states of the optimizer": "+callbacks.sending._target_=sabotage.Sending",
}


@pytest.fixture(scope="module")
def sharded(commands: Commands, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of a sharded run."""
    root = tmp_path_factory.mktemp("sharded")
    command = commands.run(*RUN, SHARDED, f"device.experiments_root={root}")
    assert command.code == 0, command.output
    assert "Warning" not in command.output
    return find_run(root)


@pytest.mark.slow
def test_a_sharded_training_equals_one_with_complete_copies(commands: Commands, sharded: Path, tmp_path: Path) -> None:
    command = commands.run(*RUN, f"device.experiments_root={tmp_path}")
    assert command.code == 0, command.output
    assert read_entries(sharded) == read_entries(find_run(tmp_path))
    torch.testing.assert_close(read_weights(sharded), read_weights(find_run(tmp_path)), rtol=0, atol=0)


MEMORY = """
import json
import torch
from pathlib import Path
from pytorch_lightning import Callback
from torch.distributed.tensor import DTensor

class Memory(Callback):
    def on_train_end(self, trainer, module):
        own = [part.to_local() if isinstance(part, DTensor) else part for part in module.parameters()]
        counts = {"parameters": sum(part.numel() for part in own)}
        if torch.cuda.is_available():
            counts["bytes of the GPU"] = torch.cuda.memory_allocated()
        Path(trainer.default_root_dir, f"memory-{trainer.global_rank}.json").write_text(json.dumps(counts))
"""


@pytest.mark.slow
@ON_TWO_DEVICES
@pytest.mark.parametrize("option", ["trainer.precision=bf16-mixed", "optimization.compile=true"])
def test_a_sharded_training_in_mixed_precision_or_compiled_equals_one_with_complete_copies_and_needs_less_memory(
    commands: Commands, tmp_path: Path, accelerator: str, option: str
) -> None:
    (commands.folder / "memory.py").write_text(MEMORY)
    size = ("params.encoder_layers=[256,256]", "params.decoder_layers=[256,256]")
    options = (*size, option, "trainer.max_epochs=1", "+callbacks.memory._target_=memory.Memory")
    directories: list[Path] = []
    for name, strategy in (("ddp", "trainer.strategy=ddp"), ("sharded", SHARDED)):
        root = f"device.experiments_root={tmp_path / name}"
        command = commands.run(*RUN, f"trainer.accelerator={accelerator}", *options, strategy, root)
        assert command.code == 0, command.output
        directories.append(find_run(tmp_path / name))
    entries, expected = (read_entries(directory) for directory in reversed(directories))
    assert len(entries) >= 2
    for entry, other in zip(entries, expected, strict=True):
        numbers = {name: value for name, value in entry.items() if isinstance(value, float)}
        assert numbers == pytest.approx({name: other[name] for name in numbers}, rel=0.01)  # over eleven steps
    for rank in (0, 1):
        complete, sharded = (json.loads((place / f"memory-{rank}.json").read_text()) for place in directories)
        assert sharded["parameters"] < 0.6 * complete["parameters"]
        assert all(sharded[name] < complete[name] for name in complete)


@pytest.mark.slow
def test_a_stored_run_does_not_show_that_it_was_sharded(sharded: Path, tmp_path: Path) -> None:
    run = load_run(sharded)
    assert run.model.sample((2,)).shape == (2, 1, 8, 8)
    run.export(tmp_path / "vae.safetensors")
    assert (tmp_path / "vae.safetensors").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("lost", [0, 1], ids=["rank 0", "rank 1"])
def test_a_sharded_run_that_lost_a_rank_resumes_to_the_same_result(
    commands: Commands, sharded: Path, tmp_path: Path, lost: int
) -> None:
    command = commands.start(*RUN, SHARDED, f"device.experiments_root={tmp_path}")
    command.wait_until(lambda: has_saved(tmp_path, 8))
    (worker,) = map(int, Path(f"/proc/{command.pid}/task/{command.pid}/children").read_text().split())
    os.kill((command.pid, worker)[lost], signal.SIGKILL)
    command.wait()
    directory = find_run(tmp_path)
    assert not read_description(directory).get("complete")
    resumed = commands.run(f"resume={directory}")
    assert resumed.code == 0, resumed.output
    torch.testing.assert_close(read_weights(directory), read_weights(sharded), rtol=0, atol=0)


class Killed(NamedTuple):
    """The directory and the output of a run in which a rank was killed, and that rank."""

    directory: Path
    output: str
    rank: int


@pytest.fixture(scope="module", params=SABOTEURS)
def killed(commands: Commands, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Killed:
    """Return a sharded run in which a rank was killed in the middle of saving the second checkpoint."""
    (commands.folder / "sabotage.py").write_text(SABOTAGE)
    root = tmp_path_factory.mktemp("killed")
    saboteur = SABOTEURS[request.param]
    command = commands.start(*RUN, SHARDED, saboteur, f"device.experiments_root={root}", SABOTAGED="yes")
    command.wait_until(lambda: has_saved(root, 4))
    (worker,) = find_children(command.pid)
    command.wait()
    while is_alive(worker):
        time.sleep(0.05)
    return Killed(find_run(root), command.output, int("rank 1" in request.param))


@pytest.mark.slow
def test_a_sharded_run_whose_rank_was_killed_in_the_middle_of_a_save_keeps_the_checkpoint_before(
    killed: Killed,
) -> None:
    lost = ("Rank 0 was lost.", "Rank 1 of 2 exited with code -9.")[killed.rank]
    assert killed.output.count(lost) == 1, killed.output
    assert f"`train resume={killed.directory}` continues from" in killed.output
    assert "Traceback" not in killed.output
    checkpoint, skipped = find_newest(killed.directory / "checkpoints")
    assert checkpoint is not None
    assert (checkpoint.path.name, checkpoint.global_step, skipped) == ("last.ckpt", 4, [])


@pytest.mark.slow
def test_a_sharded_run_whose_rank_was_killed_in_the_middle_of_a_save_resumes_to_the_same_result(
    commands: Commands, sharded: Path, killed: Killed
) -> None:
    resumed = commands.run(f"resume={killed.directory}")
    assert resumed.code == 0, resumed.output
    torch.testing.assert_close(read_weights(killed.directory), read_weights(sharded), rtol=0, atol=0)
    names = {path.name for path in (killed.directory / "checkpoints").iterdir()}
    assert names == {path.name for path in (sharded / "checkpoints").iterdir()}


@pytest.mark.slow
def test_one_process_continues_a_sharded_run(commands: Commands, sharded: Path) -> None:
    changes = ("trainer.devices=1", "trainer.strategy=auto", "trainer.max_epochs=4")
    command = commands.run(f"resume={sharded}", *changes)
    assert command.code == 0, command.output
    assert "processes: 2 → 1, 128 examples" in command.output


@pytest.mark.slow
def test_a_run_continues_sharded_and_unsharded_with_parameter_groups_and_a_schedule(
    commands: Commands, tmp_path: Path
) -> None:
    options = (*RUN, "optimization=AdamW_cosine", "trainer.max_epochs=4")
    whole, parted = tmp_path / "whole", tmp_path / "parted"
    assert commands.run(*options, f"device.experiments_root={whole}").code == 0
    started = commands.start(*options, f"device.experiments_root={parted}")
    started.wait_until(lambda: has_saved(parted, 8))
    started.send(signal.SIGTERM)
    started.wait()
    directory = find_run(parted)
    resumed = commands.start(f"resume={directory}", f"+{SHARDED}")
    resumed.wait_until(lambda: has_saved(parted, 24))
    resumed.send(signal.SIGTERM)
    resumed.wait()
    last = commands.run(f"resume={directory}", "trainer.strategy=auto")
    assert last.code == 0, last.output
    torch.testing.assert_close(read_weights(directory), read_weights(find_run(whole)), rtol=0, atol=0)


@pytest.mark.slow
def test_two_sharded_ranks_share_the_batches_of_one_process_with_a_schedule(commands: Commands, tmp_path: Path) -> None:
    one = ("optimization=AdamW_cosine", "trainer.devices=1", "trainer.max_epochs=2")
    started = commands.run(*RUN, *one, f"device.experiments_root={tmp_path}")
    assert started.code == 0, started.output
    directory = find_run(tmp_path)
    resumed = commands.run(f"resume={directory}", "trainer.devices=2", f"+{SHARDED}", "trainer.max_epochs=3")
    assert resumed.code == 0, resumed.output
    again = commands.run(f"resume={directory}", "trainer.max_epochs=4")  # the share is that of a batch of one process
    assert again.code == 0, again.output
    assert "processes: 1 → 2, 32 examples" in resumed.output


@pytest.mark.slow
def test_a_sharded_run_resumes_with_an_optimizer_without_a_state(commands: Commands, tmp_path: Path) -> None:
    plain = ("optimization=batch", "optimization.optimizer._target_=torch.optim.SGD", "trainer.max_epochs=1")
    assert commands.run(*RUN, *plain, SHARDED, f"device.experiments_root={tmp_path}").code == 0
    resumed = commands.run(f"resume={find_run(tmp_path)}", "trainer.max_epochs=2")
    assert resumed.code == 0, resumed.output


@pytest.mark.slow
def test_a_part_that_returns_a_distribution_is_reported_in_a_sentence(commands: Commands, tmp_path: Path) -> None:
    strategy = "trainer.strategy={_target_:frame_train.optimization.ShardedStrategy,parts:[encoder]}"
    command = commands.run(*RUN, strategy, f"device.experiments_root={tmp_path}")
    assert command.code == 1, command.output
    assert "'encoder' returns a `Independent`, and a part must return tensors" in command.output
    assert "Traceback" not in command.output


def make_sharded_trainer(parts: list[str], *callbacks: Any) -> Trainer:
    return make_trainer(*callbacks, devices=2, strategy=ShardedStrategy(parts))


def test_a_pattern_without_a_part_is_refused() -> None:
    optimization = make_tiny_optimization(TinyModel())
    with pytest.raises(ValueError, match=r"`trainer.strategy.parts`: 'decodr' matches no part .* of `TinyModel`"):
        optimization.check_trainer(make_sharded_trainer(["decodr"]))


def test_a_pattern_matches_level_by_level_and_no_container() -> None:
    model = TinyModel()
    model.layers = nn.ModuleList([nn.Sequential(nn.Linear(2, 2)), nn.Linear(2, 2)])
    strategy = ShardedStrategy(["layers.*", "classifier"])
    assert sorted(strategy._find_parts(model)) == ["classifier", "layers.0", "layers.1"]
    with pytest.raises(ValueError, match=r"`trainer.strategy.parts`: 'layers' matches no part"):
        ShardedStrategy(["layers"])._find_parts(model)


def test_averaged_weights_of_a_sharded_model_are_refused() -> None:
    optimization = make_tiny_optimization(TinyModel())
    with pytest.raises(ValueError, match="`ShardedStrategy` can't average weights"):
        optimization.check_trainer(make_sharded_trainer([], EMAWeightAveraging()))


def test_several_optimizers_of_a_sharded_model_are_refused() -> None:
    optimization = make_tiny_optimization(TinyModel())
    optimization.automatic_optimization = False
    with pytest.raises(ValueError, match="`ShardedStrategy` needs an optimization with one optimizer"):
        optimization.check_trainer(make_sharded_trainer([]))
