import functools
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from omegaconf import OmegaConf
from torchvision import datasets

from frame_train.composition.foreign.allow_list import AllowList, NotAllowedError
from frame_train.composition.objects import Composition
from frame_train.composition.settings import config_directory
from frame_train.errors import CompositionError

MODEL, DATA, EVALUATION, LOGGER = "optimization.model", "optimization.data", "evaluation", "logger.files"


def instantiate(part: str, node: dict[str, Any], *allow: str, directory: Path = Path("/run")) -> Any:
    """Build a part of a foreign config."""
    config = OmegaConf.create({"part": node})
    return Composition().limited_to(AllowList(part, directory, allow)).instantiate(config.part)


def build(target: str, *allow: str, part: str = MODEL) -> Any:
    """Resolve a target as a part of a foreign config does, without calling it."""
    built = instantiate(part, {"_target_": target, "_partial_": True}, *allow)
    assert isinstance(built, functools.partial)
    return built.func


NETWORKS = (
    "frame_models.VariationalAutoencoder",
    "frame_architectures.digits.Encoder",
    "frame_core.LinearWarmup",
    "torch.nn.Sequential",
    "frame_models.autoencoders.vae.VariationalAutoencoder",
    "frame_architectures.mnist.Encoder",
    "frame_architectures.make_stack",
    "torchvision.transforms.ToTensor",
)
DATA_SETS = (
    "frame_train.data.Digits",
    "torchvision.datasets.FakeData",
    "torchvision.datasets.CIFAR10",
    "torch.utils.data.Subset",
    "torch.utils.data.ConcatDataset",
)
EVALUATIONS = ("frame_train.callbacks.EvaluationCallback", "frame_eval.ELBOEvaluation")
LOGGERS = ("frame_loggers.TensorBoardLogger", "frame_loggers.WandbLogger")


@pytest.mark.parametrize(
    ("part", "target"),
    [
        *((part, target) for part in (MODEL, EVALUATION) for target in NETWORKS),
        *((part, target) for part in (DATA, EVALUATION) for target in DATA_SETS),
        *((EVALUATION, target) for target in EVALUATIONS),
        *((LOGGER, target) for target in LOGGERS),
    ],
)
def test_each_part_builds_what_it_needs(part: str, target: str) -> None:
    build(target, part=part)


def find_targets(node: Any) -> Iterator[str]:
    """Find every ``_target_`` in a config."""
    if isinstance(node, dict):
        yield from [node["_target_"]] if "_target_" in node else []
        for value in node.values():
            yield from find_targets(value)


@pytest.mark.parametrize(
    "option", sorted((config_directory() / "evaluation").glob("*.yaml")), ids=lambda path: path.stem
)
def test_a_stored_run_builds_every_shipped_evaluation(option: Path) -> None:
    content = yaml.safe_load(option.read_text())
    targets = list(find_targets(content))
    assert targets or "defaults" in content  # it is based on another option
    for target in targets:
        build(target, part=EVALUATION)


@pytest.mark.parametrize(
    ("part", "target"),
    [
        *((MODEL, target) for target in (*DATA_SETS, *EVALUATIONS, *LOGGERS)),
        *((DATA, target) for target in (*EVALUATIONS, *LOGGERS, "torch.nn.Sequential")),
        *((EVALUATION, target) for target in (*LOGGERS, "frame_train.callbacks.PeriodicCheckpoint")),
        *((LOGGER, target) for target in ("frame_loggers.FileLogger", "pytorch_lightning.loggers.CSVLogger")),
        *((part, "frame_train.optimization.AdamBatchOptimization") for part in (MODEL, DATA, EVALUATION, LOGGER)),
        *((part, "torch.optim.Adam") for part in (MODEL, DATA, EVALUATION, LOGGER)),
    ],
)
def test_no_part_builds_what_belongs_to_another(part: str, target: str) -> None:
    with pytest.raises(NotAllowedError, match=rf"a foreign config can't build '{target}' here, only"):
        build(target, part=part)


@pytest.mark.parametrize("name", [name for name in datasets.__all__ if inspect.isclass(getattr(datasets, name))])
def test_a_data_set_of_torchvision_that_may_be_built_downloads_extracts_and_writes_nothing(
    name: str, tmp_path: Path
) -> None:
    node = {"_target_": f"torchvision.datasets.{name}", "root": str(tmp_path / "d"), "download": True}
    if name not in ("FakeData", "MNIST", "FashionMNIST", "KMNIST", "CIFAR10", "CIFAR100", "SVHN", "STL10"):
        with pytest.raises(NotAllowedError):
            instantiate(DATA, node)
        return
    with pytest.raises(CompositionError, match=r"not found|has no argument `root`"):
        instantiate(DATA, node)
    assert list(tmp_path.iterdir()) == []


def test_a_download_is_off_even_if_it_is_asked_for_by_position(tmp_path: Path) -> None:
    node = {"_target_": "torchvision.datasets.CIFAR10", "_args_": [str(tmp_path), True, None, None, True]}
    assert instantiate(DATA, {**node, "_partial_": True}).args[4] is False
    with pytest.raises(CompositionError, match="not found"):
        instantiate(DATA, node)
    assert instantiate(DATA, {**node, "_partial_": True}, "torchvision.datasets.CIFAR10").args[4] is True


@pytest.mark.parametrize("directory", [{"directory": "/elsewhere"}, {"_args_": ["/elsewhere"]}])
def test_a_logger_writes_to_the_run_directory_whatever_the_config_says(directory: dict[str, Any]) -> None:
    node = {"_target_": "frame_loggers.TensorBoardLogger", **directory}
    assert instantiate(LOGGER, node, directory=Path("/run")).save_dir == "/run"
    assert instantiate(LOGGER, node, "frame_loggers", directory=Path("/run")).save_dir == "/elsewhere"


@pytest.mark.parametrize("part", [MODEL, DATA, EVALUATION, LOGGER])
@pytest.mark.parametrize(
    "target",
    [
        "torch.load",
        "torch.hub.load",
        "torch.nnx.Module",
        "torch.utils.data.DataLoader",
        "torch.utils.data.Subset.__class__",
        "builtins.eval",
        "subprocess.Popen",
        "frame_train.composition.objects.find_target",
        "frame_train.report.write_report",
        "frame_models_of_another.Model",
        # attributes of allowed names that lead elsewhere
        "torch.nn.functional.torch.load",
        "torch.nn.functional.warnings.warn",
        "torch.nn.modules.module.torch.hub.load",
        "torch.optim.optimizer.defaultdict",
        "torchvision.datasets.mnist.codecs.open",
        "torchvision.datasets.utils.tarfile.TarFile",
        "frame_train.data.sources.published.tempfile.TemporaryDirectory",
        "frame_loggers.wandb.wandb.init",
        "frame_core.Model.__class__",
        "torch.nn.Module.__subclasses__",
        # functions in allowed modules
        "torchvision.datasets.utils.download_url",
        "frame_train.callbacks.checkpoints.save_checkpoint",
        "torch.nn.Module.load_state_dict",
        # names of ours that are not public
        "frame_train.data.sources.splits.Splits",
        "frame_train.optimization.lightning_internals.NoProfiler",
        "frame_core.testing.TinyModel",
        # a class that unpickles a file, and some that extract an archive
        "torchvision.datasets.LSUN",
        "torchvision.datasets.Cityscapes",
        "torchvision.datasets.Kitti",
        "torchvision.datasets.Middlebury2014Stereo",
        "torchvision.datasets.Kinetics",
    ],
)
def test_any_other_target_is_refused_and_named_with_its_key(part: str, target: str) -> None:
    with pytest.raises(CompositionError) as error:
        build(target, part=part)
    message = str(error.value)
    assert message.startswith(f"`part._target_`: a foreign config can't build {target!r}")
    assert f"allow=[{target}]" in message


@pytest.mark.parametrize("target", ["torch.nn.Module.__init__.__globals__", "torchvision.datasets.cifar.pickle.load"])
def test_what_hydra_refuses_is_refused(target: str) -> None:
    with pytest.raises(CompositionError, match=target):
        build(target, part=EVALUATION)


@pytest.mark.parametrize("target", ["torch.nn.${oc.env:HOME}", "torch.nn.", "torch nn", "torch.nn.Linear()", ""])
def test_a_target_is_a_dotted_name(target: str) -> None:
    config = OmegaConf.create({"name": target.replace("${", "\\${"), "part": {"_target_": "${name}"}})
    with pytest.raises(CompositionError, match=r"`part._target_` must be a dotted name, .*, got '"):
        Composition().limited_to(AllowList(MODEL, Path("/run"))).instantiate(config.part)


def test_what_is_refused_by_its_name_is_not_even_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "planted.py").write_text("class Model: ...\n\ndef make(): ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(CompositionError):
        build("planted.Model")
    assert "planted" not in sys.modules
    assert build("planted.make", "planted") is sys.modules["planted"].make


def test_a_caller_allows_by_name_what_is_defined_there_and_nothing_that_it_imports() -> None:
    assert build("json.loads", "json")
    assert build("json.JSONDecoder", "json")
    assert build("builtins.divmod", "builtins.divmod") is divmod
    with pytest.raises(CompositionError, match=r"allow=\[json.codecs.open\]"):
        build("json.codecs.open", "json")
    with pytest.raises(CompositionError, match="jsonx"):
        build("jsonx.loads", "json")


def test_a_target_hidden_behind_an_interpolation_is_refused_too() -> None:
    config = OmegaConf.create({"name": "os.getcwd", "model": {"part": {"_target_": "${name}"}}})
    with pytest.raises(CompositionError, match=r"`model\.part\._target_`.*'os\.getcwd'"):
        Composition().limited_to(AllowList(MODEL, Path("/run"))).instantiate(config.model)
