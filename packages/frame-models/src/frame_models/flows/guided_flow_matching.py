"""Class-conditional flow matching with classifier-free guidance."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from frame_core import GenerativeModel, check_count, get_tensor
from frame_models.flows.flow_matching import Solver, compute_flow_matching_loss
from frame_models.solvers import Heun


class GuidedFlowMatching(GenerativeModel):
    """Flow from a source to the data of a given label, which guidance makes more typical of the label.

    One network computes the vector field with and without a label: in training, a label is dropped with a fixed
    probability. Samples follow v(x, t) + guidance * (v(x, t, y) - v(x, t)). With a guidance of 1, that is the flow to
    the data of the label. With more, samples are more typical and less diverse.

    Pairs of the source and the data are independent. Optimal transport would pair each label with its own part of the
    source, which is not known when sampling.

    Args:
        vector_field: From x (\\*batch, \\*x_shape), t (\\*batch,) and labels y (\\*batch,) to a tensor of velocities of
            the shape of x. The label ``n_labels`` stands for no label.
        source: Marginal p(x_0), an event of shape (\\*x_shape,). It is not trained.
        n_labels: Number of labels.
        label_dropout: Probability of dropping a label in training.
        guidance: Weight of the label in samples.
        solver: Solver of the differential equation, for samples; None for `frame_models.solvers.Heun` with 50 steps.

    Raises:
        TypeError: ``n_labels`` is not an integer.
        ValueError: ``n_labels`` is not positive, or ``label_dropout`` is not in [0, 1].

    References:
        Flow Matching for Generative Modeling (Lipman et al., 2023), https://arxiv.org/abs/2210.02747

        Classifier-Free Diffusion Guidance (Ho & Salimans, 2022), https://arxiv.org/abs/2207.12598; its weight w is
        ``guidance`` - 1

        Guided Flows for Generative Modeling and Decision Making (Zheng et al., 2023), https://arxiv.org/abs/2311.13443
    """

    def __init__(
        self,
        vector_field: nn.Module,
        source: nn.Module,
        n_labels: int,
        label_dropout: float = 0.1,
        guidance: float = 1.0,
        solver: Solver | None = None,
    ) -> None:
        super().__init__()
        if not 0 <= label_dropout <= 1:
            raise ValueError(f"`label_dropout` must be between 0 and 1, got {label_dropout!r}.")
        self.vector_field = vector_field
        self.source = source
        self.n_labels = check_count("n_labels", n_labels)
        self.label_dropout = label_dropout
        self.guidance = guidance
        self.solver = solver or Heun(n_steps=50)

    def compute_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        """Compute the loss of `FlowMatching` for a batch with ``x`` and labels ``y``, some of which are dropped.

        Raises:
            ValueError: The batch has no ``x`` or ``y``, or the shape of an output does not match the data.
        """
        x, y = get_tensor(data, "x"), get_tensor(data, "y")
        is_dropped = torch.rand(y.shape, device=y.device) < self.label_dropout
        labels = y.masked_fill(is_dropped, self.n_labels)
        loss = compute_flow_matching_loss(x, self.source, lambda x, t: self.vector_field(x, t, labels))
        return {"loss": loss}

    def sample(  # pyright: ignore[reportIncompatibleMethodOverride]  # it needs a condition
        self, sample_shape: torch.Size = torch.Size([]), sample_output: bool = False, *, y: Tensor
    ) -> Tensor:
        """Generate data given labels ``y`` of shape (batch,), ``sample_shape`` for each.

        There is no output distribution to sample.
        """
        shape = torch.Size([*sample_shape, *y.shape])
        labels = y.expand(shape)
        no_label = torch.full_like(labels, self.n_labels)

        def compute_velocity(t: Tensor, x: Tensor) -> Tensor:
            with_label = self.vector_field(x, t.expand(shape), labels)
            if self.guidance == 1:
                return with_label
            return torch.lerp(self.vector_field(x, t.expand(shape), no_label), with_label, self.guidance)

        return self.solver(compute_velocity, self.source().sample(shape))
