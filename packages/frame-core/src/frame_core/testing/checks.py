"""Checks of the contracts, one per interface. Each raises an AssertionError that names the violation."""

import copy
from collections.abc import Callable, Mapping, Sequence
from math import isclose
from numbers import Real
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.distributions import Categorical, Distribution

from frame_core.distributions import Delta
from frame_core.entry_logger import EntryLogger
from frame_core.evaluation import Evaluation, run_evaluation
from frame_core.evaluation_view import EvaluationView
from frame_core.log_entry import (
    HISTOGRAM_ENTRY,
    IMAGE_ENTRY,
    PLOT_ENTRY,
    SCALAR_ENTRY,
    SCALARS_ENTRY,
    TABLE_ENTRY,
    TEXT_ENTRY,
    LogEntry,
)
from frame_core.models import (
    AdversarialModel,
    ClassificationModel,
    GenerativeModel,
    ImportanceSamplingModel,
    LatentVariableModel,
    Model,
    ReconstructionModel,
    RepresentationLearningModel,
    VariationalModel,
    encode_batch,
    select_conditions,
)
from frame_core.optimization import Optimization
from frame_core.quantities import as_tensors


def check_model(model: Model, data: Mapping[str, Tensor]) -> None:
    """Check a model against its contract and the contract of each of its capabilities.

    Args:
        model: The model.
        data: A batch of at least two examples.

    Raises:
        AssertionError: The model violates a contract.
    """
    assert isinstance(model, Model), f"{type(model).__name__} is not a Model"
    _check_loss(model, data)
    _check_state_round_trip(model)
    if isinstance(model, AdversarialModel):
        _check_adversarial_losses(model, data)
    x = data["x"]
    model.eval()  # the mode of evaluations
    with torch.no_grad():
        if isinstance(model, RepresentationLearningModel):
            try:
                q_z = encode_batch(model, data)
            except TypeError as error:
                raise AssertionError(str(error)) from error
            _check_batch_shape(q_z, (len(x),), "encode")
        if isinstance(model, LatentVariableModel):
            _check_latent_variable(model, data)
        if isinstance(model, VariationalModel):
            _check_loss_components(model, data)
        if isinstance(model, ImportanceSamplingModel):
            _check_log_weights(model, data)
            _check_log_weight_gradient(model, data)
        if isinstance(model, ClassificationModel):
            _check_labels(model, data)
        if isinstance(model, ReconstructionModel):
            _check_reconstruction(model, data)
        if isinstance(model, GenerativeModel):
            _check_samples(model, data)


def check_conditional_distribution(
    module: Callable[..., Distribution], *conditions: Tensor, event_shape: Sequence[int]
) -> None:
    """Check a module against the contract of `ConditionalDistribution`; deriving from it is optional.

    Args:
        module: The module.
        conditions: Its inputs, each of shape (batch, ...) with a batch of at least two.
        event_shape: The shape of one example.

    Raises:
        AssertionError: The module violates the contract.
    """
    assert isinstance(module, nn.Module), f"{type(module).__name__} is not an nn.Module"
    distribution = module(*conditions)
    _check_batch_shape(distribution, (len(conditions[0]),), "forward")
    _check_event_shape(distribution, event_shape)
    _check_density(distribution, module)
    module.eval()
    value = distribution.sample()
    in_batch = _describe(module(*conditions), value)
    single = _describe(module(*(condition[:1] for condition in conditions)), value[:1])
    torch.testing.assert_close(
        single, in_batch[:1], msg=lambda text: f"an example depends on the rest of its batch: {text}"
    )


def check_marginal_distribution(module: Callable[[], Distribution], *, event_shape: Sequence[int]) -> None:
    """Check a module against the contract of `MarginalDistribution`; deriving from it is optional.

    Raises:
        AssertionError: The module violates the contract.
    """
    assert isinstance(module, nn.Module), f"{type(module).__name__} is not an nn.Module"
    distribution = module()
    _check_batch_shape(distribution, (), "forward")
    _check_event_shape(distribution, event_shape)
    _check_density(distribution, module)


def check_evaluation(evaluation: Evaluation, optimization: Optimization) -> LogEntry:
    """Check that an evaluation returns the same entry when repeated, and leaves the optimization unchanged.

    It is repeated for an `EvaluationView`, without a cached result and with one.

    Returns:
        The entry, for further assertions.

    Raises:
        AssertionError: The evaluation violates the contract.
    """
    assert isinstance(evaluation, Evaluation), f"{type(evaluation).__name__} is not an Evaluation"
    model = optimization.model
    state = copy.deepcopy(model.state_dict())
    gradients = _copy_gradients(model)
    counters = dict(optimization.counters)

    first = run_evaluation(evaluation, optimization)

    _check_equal(dict(model.state_dict()), dict(state), "the model changed")
    _check_equal(_copy_gradients(model), gradients, "a gradient changed")
    assert dict(optimization.counters) == counters, "a counter changed"
    view = EvaluationView(model, optimization.data, optimization.counters)
    for _ in range(2):  # with an empty cache, and with the cache that the first has filled
        second = run_evaluation(evaluation, view)
        assert second.data_type == first.data_type, (
            f"the first evaluation returned a {first.data_type} entry, the second a {second.data_type} entry"
        )
        _check_same_value(first, second)
    return first


def check_logger(logger: EntryLogger, read: Callable[[], Sequence[tuple[str, int]]], figure: Any) -> None:
    """Check that a logger logs every type of entry, drops none and preserves their order.

    Args:
        logger: A logger that has logged nothing yet.
        read: Closes the logger and returns the (name, global step) of everything that was logged, in
            order. The numbers of a scalars entry have the names ``<name>/<key>``.
        figure: A matplotlib figure.

    Raises:
        AssertionError: The logger violates the contract.
    """
    assert isinstance(logger, EntryLogger), f"{type(logger).__name__} has no method `log`"
    entries = {
        "Scalar/A": LogEntry(SCALAR_ENTRY, 1.5),
        "Scalar/B": LogEntry(SCALAR_ENTRY, float("nan")),
        "Scalars": LogEntry(SCALARS_ENTRY, {"one": 1.0, "two": 2.0}),
        "Image/RGB": LogEntry(IMAGE_ENTRY, torch.rand(3, 8, 8)),
        "Image/Gray": LogEntry(IMAGE_ENTRY, torch.rand(1, 8, 8)),
        "Plot": LogEntry(PLOT_ENTRY, figure),
        "Histogram": LogEntry(HISTOGRAM_ENTRY, torch.arange(10)),
        "Text": LogEntry(TEXT_ENTRY, "a text"),
        "Table": LogEntry(TABLE_ENTRY, {"column": [1, 2], "other": ["a", "b"]}),
    }
    expected: list[tuple[str, int]] = []
    for step in (0, 10, 10, 5):  # a step may repeat, or be earlier than the last
        for name, entry in entries.items():
            logger.log(name, entry, global_step=step, counters={"iteration": step})
            names = [f"{name}/{key}" for key in entry.value] if entry.data_type == SCALARS_ENTRY else [name]
            expected.extend((full_name, step) for full_name in names)
    logger.log("Without step", entries["Scalar/A"])
    everything = read()
    assert "Without step" in dict(everything), "an entry without a step was dropped"
    logged = [(name, step) for name, step in everything if name != "Without step"]
    for name in dict(expected):
        steps = [step for logged_name, step in logged if logged_name == name]
        assert steps == [0, 10, 10, 5], f"{name!r} was logged at steps 0, 10, 10, 5 and read back at {steps}"
    assert len(logged) == len(expected), f"{len(expected)} values were logged, {len(logged)} were read back"


def _check_loss(model: Model, data: Mapping[str, Tensor]) -> None:
    quantities = model.train().compute_loss(data, 0)
    _check_quantities(quantities, "compute_loss")
    model.zero_grad()
    as_tensors(quantities)["loss"].backward()
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, f"no gradient of the loss reaches `{name}`"
    model.zero_grad()


def _check_quantities(quantities: Mapping[str, Any], method: str) -> None:
    assert "loss" in quantities, f"`{method}` returns {list(quantities)} without 'loss'"
    for name, value in quantities.items():
        kinds = (Tensor,) if name == "loss" else (Tensor, Real)
        assert isinstance(value, kinds), f"{name!r} is a {type(value).__name__}, not a tensor"
    for name, value in as_tensors(quantities).items():
        assert value.shape == (), f"{name!r} has shape {tuple(value.shape)}, not ()"
        assert value.isfinite(), f"{name!r} is {value.item()}"
        assert value.requires_grad == (name == "loss"), f"only 'loss' must carry a gradient: check {name!r}"


def _check_state_round_trip(model: Model) -> None:
    other = copy.deepcopy(model)
    for tensor in other.state_dict().values():
        tensor.zero_()
    other.load_state_dict(model.state_dict())
    for name, value in model.state_dict().items():
        assert torch.equal(other.state_dict()[name], value), f"`{name}` is not restored from a state dict"


def _check_adversarial_losses(model: AdversarialModel, data: Mapping[str, Tensor]) -> None:
    parts = {"generator": model.generator, "discriminator": model.discriminator}
    losses = {"generator": model.compute_generator_loss, "discriminator": model.compute_discriminator_loss}
    for name, compute_loss in losses.items():
        quantities = compute_loss(data, 0)
        _check_quantities(quantities, f"compute_{name}_loss")
        model.zero_grad()
        as_tensors(quantities)["loss"].backward()
        for other, part in parts.items():
            reached = any(parameter.grad is not None for parameter in part.parameters())
            assert reached == (name == other), (
                f"the gradient of the {name} loss must reach only the {name}: check {other!r}"
            )
    model.zero_grad()


def _check_loss_components(model: VariationalModel, data: Mapping[str, Tensor]) -> None:
    terms = model.compute_loss_components(data)
    missing = {"reconstruction", "regularization"} - set(terms)
    assert not missing, f"`compute_loss_components` does not return {' and '.join(sorted(missing))}"
    assert all(term.shape == () for term in terms.values()), "the loss components are not scalars"


def _check_latent_variable(model: LatentVariableModel, data: Mapping[str, Tensor]) -> None:
    x = data["x"]
    p_x = model.decode(encode_batch(model, data).sample())
    _check_batch_shape(p_x, (len(x),), "decode")
    assert p_x.event_shape == x.shape[1:], f"`decode` has `event_shape` {tuple(p_x.event_shape)}"


def _check_labels(model: ClassificationModel, data: Mapping[str, Tensor]) -> None:
    for n_samples in (1, 3):
        p_y = model.classify(data, n_samples)
        _check_batch_shape(p_y, (len(data["x"]),), "classify")
        assert isinstance(p_y, Categorical), f"`classify` returns a {type(p_y).__name__}, not a Categorical"


def _check_log_weights(model: ImportanceSamplingModel, data: Mapping[str, Tensor]) -> None:
    log_weights = model.compute_log_weights(data, 3)
    assert log_weights.shape == (3, len(data["x"])), f"`compute_log_weights` has shape {tuple(log_weights.shape)}"
    assert log_weights.isfinite().all(), "`compute_log_weights` is not finite"


def _check_log_weight_gradient(model: ImportanceSamplingModel, data: Mapping[str, Any]) -> None:
    """Compare the gradient of the log weights with finite differences, at the same random numbers.

    The two differ if z is drawn without a gradient. They are compared for the parameters at which the samples of the
    posterior are differentiable: those of a gamma distribution are drawn by rejection, for example.
    """
    precise = copy.deepcopy(model).double()
    batch = {name: value.double() if _is_floating_point(value) else value for name, value in data.items()}
    has_posterior = isinstance(precise, RepresentationLearningModel)

    def compute_weights() -> Tensor:
        return precise.compute_log_weights(batch, 3)

    def sample_posterior() -> Tensor:
        return encode_batch(cast(RepresentationLearningModel, precise), batch).rsample()

    try:
        compute_weights()
    except RuntimeError as error:
        raise AssertionError(
            f"`compute_log_weights` does not compute in the precision of the parameters, here double: {error}"
        ) from error
    if has_posterior and not encode_batch(precise, batch).has_rsample:
        return
    for name, parameter in precise.named_parameters():
        if not parameter.requires_grad:
            continue
        if has_posterior and not _is_close(*_differentiate(sample_posterior, parameter)):
            continue
        gradient, difference = _differentiate(compute_weights, parameter)
        assert _is_close(gradient, difference), (
            f"the gradient of `compute_log_weights` for `{name}` is {gradient:.4g} in a direction in which finite "
            f"differences give {difference:.4g}; draw z with `rsample`"
        )


def _is_floating_point(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point()


def _differentiate(compute: Callable[[], Tensor], parameter: nn.Parameter) -> tuple[float, float]:
    """Return the derivative of a sum in a random direction of a parameter, by autograd and by finite differences."""
    generator = torch.Generator().manual_seed(0)
    direction = torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
    step = (1e-5 * direction / direction.norm()).to(parameter.device)

    def compute_at(position: int) -> Tensor:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            parameter.data += position * step
            total = compute().sum()
            parameter.data -= position * step
            return total

    with torch.enable_grad():
        total = compute_at(0)
    (gradient,) = torch.autograd.grad(total, [parameter], allow_unused=True) if total.requires_grad else (None,)
    by_autograd = 0.0 if gradient is None else float((gradient * step).sum() / step.norm())
    return by_autograd, float((compute_at(1) - compute_at(-1)) / (2 * step.norm()))


def _is_close(gradient: float, difference: float) -> bool:
    return isclose(gradient, difference, rel_tol=1e-2, abs_tol=1e-4)  # a step may cross a kink of a ReLU


def _check_reconstruction(model: ReconstructionModel, data: Mapping[str, Tensor]) -> None:
    x = data["x"]
    for sample_latents in (False, True):
        for sample_output in (False, True):
            shape = model.reconstruct(data, sample_latents=sample_latents, sample_output=sample_output).shape
            assert shape == x.shape, f"`reconstruct` returns shape {tuple(shape)} for x of shape {tuple(x.shape)}"


def _check_samples(model: GenerativeModel, data: Mapping[str, Tensor]) -> None:
    conditions = select_conditions(model, data)
    x_shape = data["x"].shape if conditions else data["x"].shape[1:]
    sample: Callable[..., Tensor] = model.sample
    for sample_shape in (torch.Size([]), torch.Size([2]), torch.Size([2, 3])):
        for sample_output in (False, True):
            shape = sample(sample_shape, sample_output=sample_output, **conditions).shape
            assert shape == sample_shape + x_shape, f"`sample({tuple(sample_shape)})` has shape {tuple(shape)}"


def _check_batch_shape(distribution: Distribution, batch_shape: tuple[int, ...], method: str) -> None:
    assert isinstance(distribution, Distribution), (
        f"`{method}` returns a {type(distribution).__name__}, not a Distribution"
    )
    assert distribution.batch_shape == batch_shape, (
        f"`{method}` has `batch_shape` {tuple(distribution.batch_shape)}, not {batch_shape}"
    )


def _check_event_shape(distribution: Distribution, event_shape: Sequence[int]) -> None:
    assert distribution.event_shape == tuple(event_shape), (
        f"`event_shape` is {tuple(distribution.event_shape)}, not {tuple(event_shape)}; use "
        "`Independent` to make the dimensions of one example part of the event"
    )


def _check_density(distribution: Distribution, module: nn.Module) -> None:
    log_prob = distribution.log_prob(distribution.sample())
    assert log_prob.shape == distribution.batch_shape, f"`log_prob` has shape {tuple(log_prob.shape)}"
    assert log_prob.isfinite().all(), "`log_prob` of a sample is not finite"
    trainable = {name: parameter for name, parameter in module.named_parameters() if parameter.requires_grad}
    if not trainable:
        return
    description = _describe(distribution, distribution.sample())
    assert description.requires_grad, "`log_prob` carries no gradient"
    gradients = torch.autograd.grad(description.sum(), list(trainable.values()), allow_unused=True)
    for name, gradient in zip(trainable, gradients):
        assert gradient is not None, f"no gradient of `log_prob` reaches `{name}`"


def _describe(distribution: Distribution, value: Tensor) -> Tensor:
    """Return a quantity that depends on all parameters: the log density, or the value of a `Delta`."""
    return distribution.mean if isinstance(distribution, Delta) else distribution.log_prob(value)


def _copy_gradients(model: Model) -> dict[str, Tensor]:
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def _check_same_value(first: LogEntry, second: LogEntry) -> None:
    if first.data_type in (TEXT_ENTRY, TABLE_ENTRY):
        assert second.value == first.value, "the second evaluation returned another value"
    elif first.data_type != PLOT_ENTRY:  # figures cannot be compared
        _check_equal(second.value, first.value, "the second evaluation returned another value")


def _check_equal(actual: Any, expected: Any, violation: str) -> None:
    try:
        torch.testing.assert_close(actual, expected, rtol=0, atol=0, equal_nan=True)
    except AssertionError as error:
        raise AssertionError(f"{violation}: {error}") from None
