"""Denoising diffusion probabilistic model (DDPM)."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from frame_core import GenerativeModel, check_count, check_shapes, get_tensor
from frame_models.flows.fields import check_field, expand_times


class DenoisingDiffusion(GenerativeModel):
    """Chain that turns noise into data, by steps that reverse the addition of noise.

    The forward chain adds noise to an example x_0: q(x_t | x_{t-1}) = N(sqrt(1 - beta_t) x_{t-1}, beta_t) for
    t = 1, …, T. So q(x_t | x_0) = N(sqrt(a_t) x_0, 1 - a_t) with a_t = (1 - beta_1) … (1 - beta_t), and x_T is nearly
    standard normal. A network is fitted to the noise e in x_t = sqrt(a_t) x_0 + sqrt(1 - a_t) e. The loss is
    E|e - e(x_t, t / T)|^2, at one random t for each example (L_simple in the paper).

    Samples start at x_T of the source. Each step samples q(x_{t-1} | x_t, x_0), with x_0 from the predicted noise.

    Args:
        noise_predictor: From x (\\*batch, \\*x_shape) and t / T (\\*batch,), in (0, 1], to the noise, a tensor of the
            shape of x.
        source: Marginal p(x_T), a standard normal distribution over an event of shape (\\*x_shape,). It is not trained.
        n_steps: Number T of steps of the chain.
        first_beta: Variance of the noise of the first step.
        last_beta: Variance of the noise of the last step. The variances in between are spread evenly.

    Raises:
        TypeError: ``n_steps`` is not an integer.
        ValueError: ``n_steps`` is less than two, or not 0 < ``first_beta`` <= ``last_beta`` < 1.

    References:
        Denoising Diffusion Probabilistic Models (Ho et al., 2020), https://arxiv.org/abs/2006.11239
    """

    beta: Tensor
    signal: Tensor

    def __init__(
        self,
        noise_predictor: nn.Module,
        source: nn.Module,
        n_steps: int = 1000,
        first_beta: float = 1e-4,
        last_beta: float = 0.02,
    ) -> None:
        super().__init__()
        self.noise_predictor = noise_predictor
        self.source = source
        self.n_steps = check_count("n_steps", n_steps, minimum=2)
        if not 0 < first_beta <= last_beta < 1:
            raise ValueError(
                "`first_beta` and `last_beta` must satisfy 0 < `first_beta` <= `last_beta` < 1, got "
                f"{first_beta!r} and {last_beta!r}."
            )
        beta = torch.linspace(first_beta, last_beta, n_steps, dtype=torch.float64)
        a = torch.cat([torch.ones(1, dtype=torch.float64), (1 - beta).cumprod(0)])
        self.register_buffer("beta", torch.cat([torch.zeros(1), beta.float()]))  # beta_t at the index t, from 0 to T
        self.register_buffer("signal", a.float())  # a_t at the index t, from 0 to T

    def compute_loss(self, data: Mapping[str, Tensor], data_idx: int) -> dict[str, Tensor]:
        """Compute the loss of a batch with ``data["x"]``.

        Raises:
            ValueError: The batch has no ``x``, or the shape of an output does not match the data.
        """
        x_0 = get_tensor(data, "x")
        check_shapes("source", self.source(), torch.Size([]), x_0.shape[1:])
        t = torch.randint(1, self.n_steps + 1, x_0.shape[:1], device=x_0.device)
        noise = torch.randn_like(x_0)
        predicted = check_field("noise_predictor", self.predict_noise(self.add_noise(x_0, noise, t), t), x_0)
        return {"loss": (predicted - noise).square().flatten(1).sum(1).mean()}

    def add_noise(self, x_0: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """Return x_t = sqrt(a_t) x_0 + sqrt(1 - a_t) noise.

        Args:
            x_0: Examples of shape (batch, \\*x_shape).
            noise: Tensor of the shape of ``x_0``.
            t: Steps of shape (batch,), integers from 0 to T.
        """
        a = expand_times(self.signal[t], x_0)
        return a.sqrt() * x_0 + (1 - a).sqrt() * noise

    def predict_noise(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Return the predicted noise in ``x_t``, at steps ``t`` that are integers from 1 to T."""
        return self.noise_predictor(x_t, (t / self.n_steps).to(x_t.dtype))

    def compute_posterior(self, x_0: Tensor, x_t: Tensor, t: int) -> tuple[Tensor, Tensor]:
        """Return the mean of q(x_{t-1} | x_t, x_0), of the shape of ``x_t``, and its variance, a scalar tensor."""
        a_before, a, beta = self.signal[t - 1], self.signal[t], self.beta[t]
        mean = (a_before.sqrt() * beta * x_0 + (1 - beta).sqrt() * (1 - a_before) * x_t) / (1 - a)
        return mean, beta * (1 - a_before) / (1 - a)

    def sample(self, sample_shape: torch.Size = torch.Size([]), sample_output: bool = False) -> Tensor:
        """Run the reverse chain from samples of the source. There is no output distribution to sample."""
        x_t = self.source().sample(sample_shape)
        for t in range(self.n_steps, 0, -1):
            noise = self.predict_noise(x_t, torch.full(sample_shape, t, device=x_t.device))
            a = self.signal[t]
            x_0 = (x_t - (1 - a).sqrt() * noise) / a.sqrt()
            mean, variance = self.compute_posterior(x_0, x_t, t)
            x_t = mean + variance.sqrt() * torch.randn_like(mean)
        return x_t
