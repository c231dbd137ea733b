"""Sharding of a model over the processes of a training."""

import fnmatch
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from pytorch_lightning import Trainer
from pytorch_lightning.callbacks import WeightAveraging
from pytorch_lightning.strategies import ModelParallelStrategy
from torch import nn
from torch.optim import Optimizer
from torch.utils._pytree import tree_leaves

from frame_train.errors import TrainingError, suggest


class ShardedStrategy(ModelParallelStrategy):
    """Strategy in which each process holds a share of the parameters, gradients and optimizer states (FSDP2).

    Each process trains on its own examples, as with ``ddp``. It gathers the parameters of a part while the part is
    used, in the forward and in the backward pass. Parameters outside of all parts are gathered for the whole step.
    Rank 0 assembles checkpoints in its main memory, in the format of an unsharded training. So any number of processes
    resumes them, and nothing else has to know of the sharding.

    In a config, it is ``trainer.strategy``, with ``parts: [encoder.network.*.*]``.

    Args:
        parts: Patterns of the names that modules have in the model; ``*`` matches one level of a dotted name. Each part
            must have parameters and return tensors.

    References:
        PyTorch FSDP (Zhao et al., 2023), https://arxiv.org/abs/2304.11277
    """

    def __init__(self, parts: Sequence[str]) -> None:
        super().__init__(tensor_parallel_size=1, save_distributed_checkpoint=False)
        self._parts = list(parts)

    def setup_environment(self) -> None:
        self._data_parallel_size = self.num_nodes * self.num_processes
        super().setup_environment()

    def check(self, model: nn.Module, trainer: Trainer) -> None:
        """Check, before training, that this strategy supports a model and a trainer.

        Raises:
            ValueError: It does not.
        """
        callbacks = cast(Sequence[Any], cast(Any, trainer).callbacks)
        if any(isinstance(callback, WeightAveraging) for callback in callbacks):
            raise ValueError(
                "`ShardedStrategy` can't average weights, which needs a complete copy. Remove the callback."
            )
        self._find_parts(model)

    def shard(self, model: nn.Module) -> None:
        """Shard a model in place. Its methods gather the parameters that they use.

        Raises:
            ValueError: A pattern matches no part.
        """
        from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method  # imported only where needed

        kind, methods = type(model), _list_methods(model)  # torch changes the type
        for name, part in self._find_parts(model).items():
            fully_shard(part, mesh=self.device_mesh["data_parallel"])
            part.register_forward_hook(_OutputCheck(name))
        fully_shard(model, mesh=self.device_mesh["data_parallel"])
        for name in methods:
            register_fsdp_forward_method(model, name)
            getattr(model, name).__func__.__wrapped__ = getattr(kind, name)  # keeps the signature

    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Any]:
        """Return the state of an optimizer in the format of an unsharded training, on rank 0.

        Lightning numbers the parameters in the order of the model, which is not that of parameter groups.
        """
        from torch.distributed.checkpoint.state_dict import get_optimizer_state_dict

        options = _make_options(cpu_offload=True)
        state = cast(dict[str, Any], get_optimizer_state_dict(cast(nn.Module, self.model), optimizer, options=options))
        groups = state.get("param_groups", [])
        names = [name for group in groups for name in group["params"]]
        return _rename(state, {name: number for number, name in enumerate(names)}) if state else {}

    def load_checkpoint(self, checkpoint_path: str | Path, weights_only: bool | None = None) -> dict[str, Any]:
        from torch.distributed.checkpoint.state_dict import set_optimizer_state_dict

        optimizers, self.optimizers = self.optimizers, []  # Lightning would number their parameters as above
        try:
            checkpoint = super().load_checkpoint(checkpoint_path, weights_only)
        finally:
            self.optimizers = optimizers
        model, options = cast(nn.Module, self.model), _make_options(broadcast_from_rank0=True)
        names = {id(parameter): name for name, parameter in model.named_parameters()}
        for optimizer, state in zip(optimizers, checkpoint["optimizer_states"]):
            if not state["state"]:  # torch can't distribute a state without tensors, such as that of SGD
                optimizer.load_state_dict(state)
                continue
            own = [names[id(parameter)] for group in optimizer.param_groups for parameter in group["params"]]
            set_optimizer_state_dict(model, optimizer, _rename(state, dict(enumerate(own))), options=options)
        return checkpoint

    def _find_parts(self, model: nn.Module) -> dict[str, nn.Module]:
        named = {name: part for name, part in model.named_modules() if name and _can_be_part(part)}
        found: dict[str, nn.Module] = {}
        for pattern in self._parts:
            matching = {name: part for name, part in named.items() if _matches(name, pattern)}
            if not matching:
                raise ValueError(
                    f"`trainer.strategy.parts`: {pattern!r} matches no part with parameters of `{type(model).__name__}`"
                    f".{suggest(pattern, list(named))}"
                )
            found.update(matching)
        return dict(sorted(found.items(), key=lambda item: -item[0].count(".")))  # inner parts first


def _can_be_part(module: nn.Module) -> bool:
    """Return whether a module has parameters, and is more than a container of other modules."""
    return next(module.parameters(), None) is not None and not isinstance(module, nn.ModuleList | nn.ModuleDict)


def _matches(name: str, pattern: str) -> bool:
    """Return whether each level of a dotted name matches that of a pattern."""
    levels, patterns = name.split("."), pattern.split(".")
    return len(levels) == len(patterns) and all(map(fnmatch.fnmatchcase, levels, patterns))


def _make_options(**options: Any) -> Any:
    from torch.distributed.checkpoint.state_dict import StateDictOptions

    return StateDictOptions(full_state_dict=True, **options)


def _rename(state: dict[str, Any], names: Mapping[Any, Any]) -> dict[str, Any]:
    """Rename the parameters in the state of an optimizer."""
    return {
        "state": {names[name]: values for name, values in state["state"].items()},
        "param_groups": [
            {**group, "params": [names[name] for name in group["params"]]} for group in state["param_groups"]
        ],
    }


class _OutputCheck:
    """Forward hook that checks that a part returns tensors, by which torch finds it in the backward pass."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, part: nn.Module, inputs: Any, output: Any) -> None:
        other = next((leaf for leaf in tree_leaves(output) if not isinstance(leaf, torch.Tensor)), None)
        if other is not None:
            raise TrainingError(
                f"`trainer.strategy.parts`: {self._name!r} returns a `{type(other).__name__}`, and a part must return "
                "tensors. Name the layers in it."
            )


def _list_methods(model: nn.Module) -> list[str]:
    """List the public methods that a model has in addition to those of any module."""
    names = {name for name in dir(type(model)) if not name.startswith("_") and not hasattr(nn.Module, name)}
    return sorted(name for name in names if callable(getattr(type(model), name)))
