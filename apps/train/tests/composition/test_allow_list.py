import functools
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from frame_train.composition.allow_list import AllowList
from frame_train.composition.objects import Composition
from frame_train.errors import CompositionError


def build(target: str, *allow: str) -> object:
    """Resolve a target as the composition of a foreign config does, without calling it."""
    config = OmegaConf.create({"part": {"_target_": target, "_partial_": True}})
    built = Composition(allowed=AllowList(allow)).instantiate(config.part)
    assert isinstance(built, functools.partial)
    return built.func


@pytest.mark.parametrize(
    "target",
    [
        "frame_models.VariationalAutoencoder",
        "frame_architectures.digits.Encoder",
        "frame_core.LinearWarmup",
        "frame_train.data.Digits",
        "frame_train.callbacks.EvaluationCallback",
        "torch.nn.Sequential",
        "frame_models.vae.VariationalAutoencoder",
        "frame_architectures.mnist.Encoder",
        "frame_architectures.make_stack",
        "torch.optim.lr_scheduler.StepLR",
        "torchvision.datasets.FakeData",
        "torchvision.transforms.ToTensor",
        "torch.utils.data.Subset",
        "torch.utils.data.ConcatDataset",
    ],
)
def test_classes_of_our_packages_and_of_torch_are_allowed(target: str) -> None:
    build(target)


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
        "frame_train.data.mnist.tempfile.TemporaryDirectory",
        "frame_core.Model.__class__",
        # functions in allowed modules
        "torchvision.datasets.utils.download_url",
        "frame_train.callbacks.checkpoints.save_checkpoint",
        "torch.nn.Module.load_state_dict",
        # names of ours that are not public
        "frame_train.data.splits.Splits",
        "frame_train.optimization.lightning_internals.NoProfiler",
        "frame_core.testing.TinyModel",
        # a class that unpickles a file
        "torchvision.datasets.LSUN",
    ],
)
def test_any_other_target_is_refused_and_named_with_its_key(target: str) -> None:
    with pytest.raises(CompositionError) as error:
        build(target)
    message = str(error.value)
    assert message.startswith(f"`part._target_`: a foreign config may not build {target!r}")
    assert f"allow=[{target}]" in message


def test_a_refused_target_is_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "planted.py").write_text("class Model: ...\n\ndef make(): ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(CompositionError):
        build("planted.Model")
    assert "planted" not in sys.modules
    assert build("planted.make", "planted") is sys.modules["planted"].make


def test_allowing_a_module_allows_what_it_defines_but_not_what_it_imports() -> None:
    assert build("json.loads", "json")
    assert build("json.JSONDecoder", "json")
    assert build("builtins.divmod", "builtins.divmod") is divmod
    with pytest.raises(CompositionError, match=r"allow=\[json.codecs.open\]"):
        build("json.codecs.open", "json")
    with pytest.raises(CompositionError, match="jsonx"):
        build("jsonx.loads", "json")


def test_a_target_behind_an_interpolation_is_refused_too() -> None:
    config = OmegaConf.create({"name": "os.getcwd", "model": {"part": {"_target_": "${name}"}}})
    with pytest.raises(CompositionError, match=r"`model\.part\._target_`.*'os\.getcwd'"):
        Composition(allowed=AllowList()).instantiate(config.model)
