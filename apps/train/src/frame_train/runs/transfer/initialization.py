"""The weights of a stored run as the start of a new run."""

from omegaconf import DictConfig
from torch import nn

from frame_train.errors import CompositionError
from frame_train.runs.checkpoint import find_misfits, read_checkpoints, summarize
from frame_train.runs.location import locate

_KEY = "initialize_from"


def initialize_model(model: nn.Module, config: DictConfig) -> list[str]:
    """Load the weights of the run `initialize_from` into a model. The config of the run is not read.

    Args:
        model: The model, with its own precision and its own frozen parameters.
        config: The config of the new run.

    Returns:
        A line with the number of weights, and those that do not fit; empty without `initialize_from`.

    Raises:
        CompositionError: The run does not exist, a weight does not fit (with `initialize_strictly`), or no weight fits
            (without it).
    """
    where = config.initialize_from
    if where is None:
        return []
    if not isinstance(where, str):
        raise CompositionError(f"`{_KEY}` must be a run directory, a checkpoint, or a run on W&B, got {where!r}.", _KEY)
    if not isinstance(config.initialize_strictly, bool):
        message = f"`initialize_strictly` must be true or false, got {config.initialize_strictly!r}."
        raise CompositionError(message, "initialize_strictly")
    try:
        (checkpoint,) = read_checkpoints(*locate(where, "last"))
    except CompositionError as error:
        raise CompositionError(f"`{_KEY}`: {error}", _KEY) from error
    misfits = find_misfits(model, checkpoint.weights)
    fitting = {name: value for name, value in checkpoint.weights.items() if name not in misfits}
    if misfits and config.initialize_strictly:
        raise CompositionError(
            f"`{_KEY}`: the weights of {where!r} do not fit the `{type(model).__name__}`: {summarize(misfits)}. "
            "Set `initialize_strictly=false` to load only the weights whose name and shape fit.",
            _KEY,
        )
    if not fitting:
        raise CompositionError(f"`{_KEY}`: no weight of {where!r} fits: {summarize(misfits)}.", _KEY)
    try:
        model.load_state_dict(fitting, strict=False)
    except (RuntimeError, TypeError) as error:  # such as complex numbers in place of floats
        raise CompositionError(f"`{_KEY}`: {where!r} can't be loaded: {' '.join(str(error).split())}", _KEY) from error
    rest = f"; {summarize(misfits)}" if misfits else ""
    return [f"Loaded {len(fitting)} weights of {str(checkpoint.path)!r}{rest}."]
