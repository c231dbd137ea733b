"""Classifier."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from frame_core import ClassificationModel, check_shapes, get_tensor


class Classifier(ClassificationModel):
    """Classifier trained on the cross-entropy.

    Args:
        predictor: Conditional p(y | x), from (batch, \\*x_shape) to a categorical distribution over labels.

    References:
        Probabilistic Interpretation of Feedforward Classification Network Outputs, with Relationships to
        Statistical Pattern Recognition (Bridle, 1990), https://doi.org/10.1007/978-3-642-76153-9_28
    """

    def __init__(self, predictor: nn.Module) -> None:
        super().__init__()
        self.predictor = predictor

    def compute_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        """Compute the cross-entropy of a batch with ``data["x"]`` and labels ``data["y"]`` of shape (batch,).

        Raises:
            ValueError: The batch has no ``x`` or ``y``, or the shapes of the predictor's distribution do not match the
                labels.
        """
        p_y = self.classify(data)
        y = get_tensor(data, "y")
        check_shapes("predictor", p_y, y.shape, torch.Size([]))
        return {"loss": -p_y.log_prob(y).mean()}

    def classify(self, data: Mapping[str, Tensor], n_samples: int = 1) -> Distribution:
        return self.predictor(get_tensor(data, "x"))
