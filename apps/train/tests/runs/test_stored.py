import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

from doubles import Planted
from frame_core import Optimization, iterate_batches
from frame_train import load_run
from frame_train.errors import CompositionError
from frame_train.runs.checkpoint import read_checkpoints


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """Return a copy of the trained run in another folder."""
    return Path(shutil.copytree(trained, tmp_path / "runs" / "DIGITS" / "VAE" / "copy"))


def test_a_run_is_loaded_with_model_data_config_and_metrics(trained: Path) -> None:
    state = torch.get_rng_state()
    run = load_run(trained)
    assert torch.equal(torch.get_rng_state(), state)
    assert isinstance(run, Optimization)
    assert not run.model.training
    assert (run.global_step, run.counters) == (4, {"iteration": 4})
    weights = torch.load(trained / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    assert {f"model.{name}" for name in run.model.state_dict()} == set(weights)
    for name, value in run.model.state_dict().items():
        assert torch.equal(value, weights[f"model.{name}"])
    assert weights["model.beta.value"] == 0.375  # 1.5 of 4 epochs
    assert run.config.params.z_dim == 16
    assert {name: len(split) for name, split in run.data.items()} == {"train": 1297, "valid": 250, "test": 250}
    lines = [json.loads(line) for line in (trained / "metrics.jsonl").read_text().splitlines()]
    table = run.metrics
    assert len(table) == len(lines)
    assert table["ELBO/Validation"].dropna().tolist() == [
        line["ELBO/Validation"] for line in lines if "ELBO/Validation" in line
    ]
    assert table["trainer/global_step"].iloc[-1] == 4


def test_the_table_accepts_non_finite_numbers_and_a_truncated_line(run: Path) -> None:
    (run / "metrics.jsonl").write_text('{"trainer/global_step": 1, "a": "NaN", "b": "-Infinity"}\n{"a": 1, "tra')
    table = load_run(run).metrics
    assert len(table) == 1
    assert table["a"].isna().all()
    assert table["b"].item() == float("-inf")


@pytest.mark.parametrize(
    ("weights", "step"), [("last", 4), ("best", 4), ("step-00000002", 2), ("step-00000002.ckpt", 2)]
)
def test_weights_are_selected_by_name(trained: Path, weights: str, step: int) -> None:
    assert load_run(trained, weights).global_step == step


def test_a_run_is_loaded_from_the_path_of_a_checkpoint(trained: Path) -> None:
    checkpoint = trained / "checkpoints" / "step-00000002.ckpt"
    assert load_run(checkpoint).global_step == load_run(str(trained), str(checkpoint)).global_step == 2
    with pytest.raises(CompositionError, match="so `weights` must be omitted, got 'best'"):
        load_run(checkpoint, "best")


def test_a_run_of_another_machine_is_loaded(run: Path) -> None:
    config = OmegaConf.load(run / "config.yaml")
    config.trainer.accelerator = "gpu"
    config.device.data_root = "/of/another/machine"
    config.data.train.split = "nowhere"
    OmegaConf.save(config, run / "config.yaml")
    loaded = load_run(run)  # before the data are read
    assert loaded.config.run.directory == str(run)
    with pytest.raises(CompositionError, match="'nowhere'"):
        _ = loaded.data
    assert loaded.config.device.data_root.endswith("/data")


def test_the_loaded_average_of_the_weights_is_the_one_that_was_evaluated(
    train: Callable[..., Any], tmp_path: Path
) -> None:
    at_the_end = "evaluation.accuracy_validation.evaluate_every=end"
    arguments = ("callbacks=[default,weight_averaging]", at_the_end, "trainer.max_epochs=1")
    train("+experiment=DIGITS_Classifier", "logging=none", "trainer.limit_train_batches=5", *arguments)
    (directory,) = (tmp_path / "runs" / "DIGITS" / "Classifier").iterdir()
    run = load_run(directory)
    (batch,) = iterate_batches(run.data["valid"], 250)
    accuracy = (run.model.classify(batch).probs.argmax(-1) == batch["y"]).float().mean()
    assert run.metrics["Accuracy/Validation"].dropna().iloc[-1] == pytest.approx(accuracy.item())


def test_a_foreign_config_builds_only_what_is_allowed(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = "from frame_architectures import DiagonalNormal\nclass OwnPrior(DiagonalNormal): ...\n"
    (tmp_path / "own_prior.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    config = OmegaConf.load(run / "config.yaml")
    config.architectures.prior._target_ = "own_prior.OwnPrior"
    config.allow = ["own_prior"]  # ignored: a config cannot allow its own targets
    OmegaConf.save(config, run / "config.yaml")
    with pytest.raises(CompositionError, match=r"`architectures.prior._target_`.*'own_prior.OwnPrior'"):
        load_run(run)
    assert "own_prior" not in sys.modules
    assert type(load_run(run, allow=["own_prior"]).model.prior).__name__ == "OwnPrior"


def test_everything_that_needs_permission_is_listed_at_once(run: Path) -> None:
    config = OmegaConf.load(run / "config.yaml")
    config.architectures.prior._target_ = "own_blocks.OwnPrior"
    config.architectures.encoder._target_ = "own_blocks.OwnEncoder"
    config.data.train = {"_target_": "own_data.Own", "of": {"_target_": "own_blocks.OwnPrior"}}
    config.data.valid = {"_target_": "torchvision.datasets.ImageFolder", "root": "."}
    OmegaConf.save(config, run / "config.yaml")
    message = r"`allow=\[own_blocks.OwnEncoder, own_blocks.OwnPrior, own_data.Own, torchvision.datasets.ImageFolder\]`"
    with pytest.raises(CompositionError, match=message):
        load_run(run)
    with pytest.raises(CompositionError) as caught:
        load_run(run, allow=["own_data", "own_blocks.OwnPrior", "torchvision.datasets.ImageFolder"])
    assert "If you trust it, add `allow=[own_blocks.OwnEncoder]`." in str(caught.value)
    assert "allows everything" not in str(caught.value)
    assert not {"own_blocks", "own_data"} & set(sys.modules)


def test_a_config_with_functions_of_our_packages_is_loaded(run: Path) -> None:
    config = OmegaConf.load(run / "config.yaml")
    config.architectures.decoder = {
        "_target_": "torch.nn.Sequential",
        "_args_": [
            {"_target_": "frame_architectures.make_stack", "sizes": [16, 128, 256]},
            {"_target_": "frame_architectures.StochasticLinear", "_args_": [256, [1, 8, 8], "Bernoulli"]},
        ],
    }
    OmegaConf.save(config, run / "config.yaml")
    path = run / "checkpoints" / "last.ckpt"
    content = torch.load(path, weights_only=True)
    old, new = "model.decoder.network.", "model.decoder."
    content["state_dict"] = {name.replace(old, new): value for name, value in content["state_dict"].items()}
    torch.save(content, path)
    path.with_name("last.ckpt.json").unlink()
    assert load_run(run).model.sample().shape == (1, 8, 8)


def test_loading_a_checkpoint_executes_nothing(run: Path, tmp_path: Path) -> None:
    torch.save({"state_dict": {}, "global_step": 1, "more": Planted(tmp_path / "ran")}, run / "checkpoints" / "x.ckpt")
    with pytest.raises(CompositionError, match="is not a readable checkpoint"):
        load_run(run, "x")
    assert not (tmp_path / "ran").exists()


def remove(*names: str) -> Callable[[Path], None]:
    def spoil(run: Path) -> None:
        for name in names:
            path = run / name
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    return spoil


def write(name: str, text: str) -> Callable[[Path], None]:
    return lambda run: (run / name).write_text(text) and None


def cut_off(run: Path) -> None:
    checkpoint = run / "checkpoints" / "last.ckpt"
    checkpoint.write_bytes(checkpoint.read_bytes()[:-1000])


def replace_by_folder(run: Path) -> None:
    checkpoint = run / "checkpoints" / "last.ckpt"
    checkpoint.unlink()
    checkpoint.mkdir()


def change(key: str, value: Any) -> Callable[[Path], None]:
    def spoil(run: Path) -> None:
        config = OmegaConf.load(run / "config.yaml")
        OmegaConf.update(config, key, value)
        OmegaConf.save(config, run / "config.yaml")

    return spoil


def empty(run: Path) -> None:
    shutil.rmtree(run)
    run.mkdir()


def hold_study(run: Path) -> None:
    empty(run)
    (run / "study.db").touch()


def keep(run: Path) -> None:
    pass


@pytest.mark.parametrize(
    ("spoil", "where", "weights", "messages"),
    [
        (keep, "../cop", "last", ["There is no run", "Did you mean `copy`?", "The newest run below", "copy'"]),
        (keep, ".", "all", ["`weights` must name one checkpoint, got 'all'"]),
        (keep, "..", "last", ["is not a run directory", "The newest run below", "copy'"]),
        (keep, "../../VEA/copy", "last", ["has VAE", "Did you mean `VAE`?"]),
        (empty, ".", "last", ["is not a run directory: it is empty"]),
        (hold_study, ".", "last", ["is not a run directory but that of a search. The same command continues it."]),
        (remove("config.yaml"), ".", "last", ["is an incomplete run directory: `config.yaml` is missing"]),
        (
            remove("run.json", "checkpoints"),
            ".",
            "last",
            ["is an incomplete run directory: `run.json` and `checkpoints/*.ckpt` are missing"],
        ),
        (write("run.json", '{"format": 3}'), ".", "last", ["has format 3", "reads formats up to 2"]),
        (write("run.json", '{"format": "x"}'), ".", "last", ["`format`", "must be a positive integer, got 'x'"]),
        (write("run.json", '{"format": 0}'), ".", "last", ["must be a positive integer, got 0"]),
        (write("run.json", '{"format'), ".", "last", ["run.json' must be a JSON object"]),
        (write("config.yaml", "a: [1\nb: {"), ".", "last", ["config.yaml' can't be read as a config", "line 2"]),
        (write("config.yaml", "5"), ".", "last", ["config.yaml' can't be read as a config"]),
        (write("config.yaml", ""), ".", "last", ["must contain a mapping, got {}"]),
        (write("config.yaml", "- 1"), ".", "last", ["must contain a mapping"]),
        (
            write("config.yaml", "a: 1"),
            ".",
            "last",
            ["expected a mapping with a `model`", "got None"],
        ),
        (cut_off, ".", "last", ["last.ckpt' is damaged: its size and SHA-256 are not those in its manifest"]),
        (write("checkpoints/x.ckpt", "weights"), ".", "x", ["x.ckpt' is not a readable checkpoint: it is truncated"]),
        (replace_by_folder, ".", "last", ["`weights` must name a checkpoint, got the folder", "last.ckpt'"]),
        (keep, ".", "bset", ["no checkpoint 'bset'", "best, last, step-00000002", "Did you mean `best`?"]),
        (
            change("params.z_dim", 8),
            ".",
            "last",
            ["does not fit the `VariationalAutoencoder`", "has shape (32, 128), expected (16, 128)", "more"],
        ),
        (change("params.encoder_layers", [256]), ".", "last", ["is unexpected", "does not fit"]),
        (
            change("model.encoder", "${architectures.encodr}"),
            ".",
            "last",
            ["`model.encoder`", "architectures.encodr"],
        ),
        (change("params.z_dim", "many"), ".", "last", ["`architectures.encoder", "'many'"]),
        (
            change("model._target_", "torch.load"),
            ".",
            "last",
            ["`model._target_`", "allow=[torch.load]"],
        ),
    ],
)
def test_a_run_that_cannot_be_loaded_is_reported_in_a_few_lines(
    run: Path, spoil: Callable[[Path], None], where: str, weights: str, messages: list[str]
) -> None:
    spoil(run)
    with pytest.raises(CompositionError) as error:
        load_run(f"{run}/{where}", weights)
    assert len(str(error.value).splitlines()) <= 3
    for message in messages:
        assert message in str(error.value)


@pytest.mark.parametrize("name", ["config.yaml", "metrics.jsonl", "checkpoints"])
def test_a_file_of_a_run_and_its_folder_of_checkpoints_stand_for_the_run(trained: Path, name: str) -> None:
    assert load_run(trained / name, "best").global_step == load_run(trained, "best").global_step


@pytest.mark.parametrize(("where", "weights", "name"), [(None, "last", "run"), (".", None, "weights")])
def test_null_as_run_or_weights_is_refused(where: Any, weights: Any, name: str) -> None:
    with pytest.raises(CompositionError, match=f"`{name}` must be .*, got None"):
        load_run(where, weights)


@pytest.mark.parametrize("data", [None, 5, {"train": 5}])
def test_data_that_are_no_data_sets_are_reported_when_they_are_used(run: Path, data: Any) -> None:
    config = OmegaConf.load(run / "config.yaml")
    config.optimization.data = data
    OmegaConf.save(config, run / "config.yaml")
    loaded = load_run(run)
    with pytest.raises(CompositionError, match=r"`optimization.data` must be a mapping of names to data sets, got"):
        _ = loaded.data


def test_an_export_to_a_path_that_cannot_be_written_is_refused(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(CompositionError, match=r"`path`: '.*nowhere/a' can't be written"):
        load_run(trained).export(tmp_path / "nowhere" / "a")


def test_a_checkpoint_outside_a_run_directory_is_refused(trained: Path, tmp_path: Path) -> None:
    path = shutil.copy(trained / "checkpoints" / "last.ckpt", tmp_path)
    with pytest.raises(CompositionError, match="is not in a run directory"):
        load_run(path)


def test_importing_the_package_does_not_import_torch() -> None:
    code = "import frame_train, sys; assert 'torch' not in sys.modules; assert 'load_run' in frame_train.__all__"
    subprocess.run([sys.executable, "-c", code], check=True)


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_weights_in_which_a_bit_is_flipped_are_reported(run: Path) -> None:
    flip_a_bit(run / "checkpoints" / "last.ckpt")
    with pytest.raises(CompositionError, match=r"last.ckpt' is damaged: its size and SHA-256 are not those"):
        load_run(run)
    assert load_run(run, "best").global_step == 4


@pytest.mark.parametrize("text", ["[1]", "{}", '{"global_step": "4"}', "{", "[" * 100_000, "\0"], ids=lambda x: x[:9])
def test_weights_with_a_manifest_that_cannot_be_read_are_reported(run: Path, text: str) -> None:
    (run / "checkpoints" / "last.ckpt.json").write_text(text)
    with pytest.raises(CompositionError, match=r"last.ckpt' is damaged"):
        load_run(run)


def test_all_checkpoints_are_those_that_are_not_damaged(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    every = [checkpoint.global_step for checkpoint in read_checkpoints(run, "all")]
    for name in ("last", "best"):
        (run / "checkpoints" / f"{name}.ckpt.json").write_text("[1]")
    assert [checkpoint.global_step for checkpoint in read_checkpoints(run, "all")] == every
    assert capsys.readouterr().err.count("is damaged") == 2
    for path in (run / "checkpoints").glob("*.ckpt.json"):
        path.write_text("[1]")
    with pytest.raises(CompositionError, match="is damaged"):
        read_checkpoints(run, "all")


def test_the_previous_checkpoint_is_loaded_if_a_process_was_killed_while_it_saved(run: Path) -> None:
    checkpoint = run / "checkpoints" / "last.ckpt"
    checkpoint.rename(checkpoint.with_name(".last.ckpt.before"))
    checkpoint.write_bytes(b"the new one")
    assert load_run(run).global_step == 4


def replace_weights(content: dict[str, Any], change_tensor: Callable[[torch.Tensor], torch.Tensor]) -> None:
    content["state_dict"] = {name: change_tensor(value) for name, value in content["state_dict"].items()}


@pytest.mark.parametrize(
    ("spoil_content", "message"),
    [
        (lambda content: content.update(global_step="4"), "missing or malformed"),
        (lambda content: content.update(global_step=10**30), "missing or malformed"),
        (lambda content: content.update(counters={"a": "b"}), "missing or malformed"),
        (lambda content: content.update(counters={1: 1}), "missing or malformed"),
        (lambda content: content.update(counters={"\x1b[2J": 1}), "missing or malformed"),
        (lambda content: content["state_dict"].update({"model.a": 1}), "missing or malformed"),
        (lambda content: content["state_dict"].update({1: 1}), "missing or malformed"),
        (lambda content: content["state_dict"].update({"model.\x1b[2J": torch.ones(1)}), r"`\\x1b\[2J` is unexpected"),
        (lambda content: replace_weights(content, torch.Tensor.int), "can't be loaded"),
        (lambda content: replace_weights(content, lambda value: value.to("meta")), "can't be loaded"),
    ],
)
def test_a_checkpoint_with_other_content_is_reported(
    run: Path, spoil_content: Callable[[dict[str, Any]], None], message: str
) -> None:
    content = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    spoil_content(content)
    torch.save(content, run / "checkpoints" / "x.ckpt")
    with pytest.raises(CompositionError, match=message):
        load_run(run, "x")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &x [1]\nb: *x", "it has the alias `*x`, which is not supported"),
        ("[" * 100 + "]" * 100, "more than 50 levels"),
        ("a: " + "x" * 1_000_000, "longer than 1,000,000 characters"),
        ("run: 5\na: 1", "`run` must be a mapping"),
        ("device: [1]\na: 1", "`device` must be a mapping"),
    ],
    ids=lambda text: text[:9],
)
def test_a_config_that_multiplies_or_has_another_form_is_refused(run: Path, text: str, message: str) -> None:
    (run / "config.yaml").write_text(text)
    with pytest.raises(CompositionError) as error:
        load_run(run)
    assert message in str(error.value)
