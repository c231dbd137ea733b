from copy import deepcopy
from typing import Any

import pytest
import torch
from pytorch_lightning import Trainer
from torch.utils.data import default_collate

from frame_core import Optimization
from frame_core.testing import TinyModel, make_tiny_data
from frame_train.data import InMemoryDataset
from frame_train.optimization import AdamBatchOptimization


def make_optimization(**options: Any) -> AdamBatchOptimization:
    torch.manual_seed(0)
    data = {"train": InMemoryDataset(default_collate(make_tiny_data(25)))}
    arguments = {"model": TinyModel(), "data": data, "num_workers": 0, "batch_size": 10, "lr": 0.01, **options}
    return AdamBatchOptimization(**arguments)


def make_trainer(**options: Any) -> Trainer:
    return Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **options,
    )


@pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:.*LeafSpec.*:FutureWarning")
def test_training_is_adam_on_the_loss_of_each_batch() -> None:
    optimization = make_optimization()
    model = deepcopy(optimization.model)
    torch.manual_seed(1)
    make_trainer(max_epochs=2).fit(optimization)

    optimizer = torch.optim.Adam(model.parameters(), lr=0.01, fused=True)
    loader = make_optimization().train_dataloader()
    torch.manual_seed(1)
    for epoch in range(2):
        loader.sampler.set_epoch(epoch)  # type: ignore[attr-defined]
        for index, batch in enumerate(loader):
            optimizer.zero_grad()
            model.compute_loss(batch, index)["loss"].backward()
            optimizer.step()
    for name, value in model.state_dict().items():
        torch.testing.assert_close(optimization.model.state_dict()[name], value, rtol=0, atol=0)
    assert optimization.counters == {"iteration": 6}


def test_it_is_an_optimization() -> None:
    assert isinstance(make_optimization(), Optimization)


@pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:.*LeafSpec.*:FutureWarning")
def test_its_counters_are_in_the_checkpoint(tmp_path: Any) -> None:
    trainer = make_trainer(max_epochs=1)
    trainer.fit(make_optimization())
    trainer.save_checkpoint(tmp_path / "a.ckpt")
    resumed = make_optimization()
    make_trainer(max_epochs=2).fit(resumed, ckpt_path=tmp_path / "a.ckpt")
    assert resumed.counters == {"iteration": 6}


@pytest.mark.parametrize("lr", [0, -1.0, float("nan")])
def test_a_learning_rate_that_is_not_positive_is_refused(lr: float) -> None:
    with pytest.raises(ValueError, match="`lr` must be positive"):
        make_optimization(lr=lr)


def test_data_without_a_training_split_are_refused() -> None:
    with pytest.raises(ValueError, match="`data` has no split 'train'; it has 'valid'"):
        make_optimization(data={"valid": make_tiny_data()})
    with pytest.raises(ValueError, match="Split 'train' of `data` is empty"):
        make_optimization(data={"train": []})
