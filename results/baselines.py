"""Models that are not trained, to compare trained ones with."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution

from frame_core import (
    Delta,
    GenerativeModel,
    Model,
    RepresentationLearningModel,
    SizedDataset,
    get_batch,
    get_tensor,
)


class Pixels(RepresentationLearningModel):
    """The pixels of an image as its representation."""

    def compute_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        raise NotImplementedError("Pixels are not trained.")

    def encode(self, x: Tensor) -> Distribution:
        return Delta(x.flatten(1), 1)


class TrainingExamples(GenerativeModel):
    """Examples of a data set, drawn at random, as samples."""

    def __init__(self, data_set: SizedDataset) -> None:
        super().__init__()
        self._data_set = data_set

    def compute_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        raise NotImplementedError("Training examples are not trained.")

    def sample(self, sample_shape: torch.Size = torch.Size([]), sample_output: bool = False) -> Tensor:
        x = get_tensor(get_batch(self._data_set, torch.randint(len(self._data_set), (sample_shape.numel(),))), "x")
        return x.unflatten(0, sample_shape)


class Truth(Model):
    """What is known of the distribution of a synthetic data set, in place of its estimate."""

    def __init__(self, data_set: Any) -> None:
        super().__init__()
        self._data_set = data_set

    def compute_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        return {"mutual_information": torch.tensor(self._data_set.mutual_information)}

    def compute_log_weights(self, data: Mapping[str, Tensor], n_samples: int) -> Tensor:
        return self._data_set.compute_log_prob(get_tensor(data, "x")).expand(n_samples, -1)
