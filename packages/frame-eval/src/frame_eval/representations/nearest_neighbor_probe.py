"""Nearest-neighbor probe of a representation."""

import torch
from torch import Tensor
from torch.nn.functional import normalize

from frame_core import check_count, check_positive
from frame_eval.batches import BATCH_SIZE
from frame_eval.representations.probe import ProbeEvaluation


class NearestNeighborProbeEvaluation(ProbeEvaluation):
    """Accuracy of a weighted nearest-neighbor classifier of the representation, which is not trained.

    The representation of an example is the mean of q(z | x). Its ``n_neighbors`` training examples of greatest cosine
    similarity s vote for their labels, each with the weight exp(s / temperature).

    Args:
        evaluate_on: Name of the split whose examples are classified, all of them.
        train_on: Name of the split of the neighbors.
        n_train: Number of its examples, drawn at random, but the same every time. More than the split has, means all.
        n_neighbors: Number of neighbors that vote. More than there are training examples means all.
        temperature: Scale of the similarities. A smaller one weights the nearest neighbors more.

    Raises:
        TypeError: A number has a wrong type.
        ValueError: A number is not positive, or ``temperature`` is not finite.

    References:
        Unsupervised Feature Learning via Non-Parametric Instance Discrimination (Wu et al., 2018),
        https://arxiv.org/abs/1805.01978
    """

    def __init__(
        self,
        evaluate_on: str,
        train_on: str = "train",
        n_train: int = 10_000,
        n_neighbors: int = 200,
        temperature: float = 0.07,
    ) -> None:
        super().__init__(evaluate_on, train_on, n_train)
        self.n_neighbors = check_count("n_neighbors", n_neighbors)
        self.temperature = check_positive("temperature", temperature)

    def predict(self, z: Tensor, z_train: Tensor, y_train: Tensor) -> Tensor:
        return classify_by_neighbors(z, z_train, y_train, self.n_neighbors, self.temperature)


def classify_by_neighbors(
    vectors: Tensor, train_vectors: Tensor, train_labels: Tensor, n_neighbors: int, temperature: float
) -> Tensor:
    """Return the label with the greatest sum of weights among the neighbors of each vector.

    Args:
        vectors: Tensor of shape (n_data, dim).
        train_vectors: Tensor of shape (n_train, dim).
        train_labels: Integer tensor of shape (n_train,).
        n_neighbors: Number of neighbors that vote.
        temperature: Scale of the cosine similarities s in the weights exp(s / temperature).

    Returns:
        Integer tensor of shape (n_data,).
    """
    classes, targets = train_labels.unique(return_inverse=True)
    neighbors = normalize(train_vectors, dim=1).T
    predicted: list[Tensor] = []
    for batch in normalize(vectors, dim=1).split(BATCH_SIZE):
        similarity, indices = (batch @ neighbors).topk(min(n_neighbors, len(train_vectors)), dim=1)
        votes = similarity.new_zeros(len(batch), len(classes))
        # relative to the nearest neighbor, so that a low temperature does not overflow
        votes.scatter_add_(1, targets[indices], ((similarity - similarity[:, :1]) / temperature).exp())
        predicted.append(classes[votes.argmax(1)])
    return torch.cat(predicted)
