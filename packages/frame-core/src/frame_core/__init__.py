"""The contracts between models, architectures, evaluations, procedures and loggers."""

from frame_core.adversarial import add_losses, call_frozen, check_scores, generate_like
from frame_core.data import BatchedDataset, SizedDataset, get_batch, get_split, get_tensor, iterate_batches
from frame_core.distributions import (
    ConditionalDistribution,
    Delta,
    MarginalDistribution,
    check_shapes,
    get_mean,
    kl_divergence,
    reparametrize,
    sample_or_mean,
)
from frame_core.entry_logger import EntryLogger
from frame_core.evaluation import Evaluation, check_requirements, run_evaluation, undisturbed
from frame_core.log_entry import (
    HISTOGRAM_ENTRY,
    IMAGE_ENTRY,
    PLOT_ENTRY,
    SCALAR_ENTRY,
    SCALARS_ENTRY,
    TABLE_ENTRY,
    TEXT_ENTRY,
    EntryType,
    LogEntry,
    name_numbers,
)
from frame_core.models import (
    AdversarialModel,
    ClassificationModel,
    GenerativeModel,
    LatentVariableModel,
    Model,
    ReconstructionModel,
    RepresentationLearningModel,
    VariationalModel,
)
from frame_core.optimization import Optimization
from frame_core.options import check_count
from frame_core.schedules import ExponentialWarmup, LinearWarmup, Schedule, check_non_negative, get_value
from frame_core.sharing import share, sharing

__all__ = [
    "HISTOGRAM_ENTRY",
    "IMAGE_ENTRY",
    "PLOT_ENTRY",
    "SCALARS_ENTRY",
    "SCALAR_ENTRY",
    "TABLE_ENTRY",
    "TEXT_ENTRY",
    "AdversarialModel",
    "BatchedDataset",
    "ClassificationModel",
    "ConditionalDistribution",
    "Delta",
    "EntryLogger",
    "EntryType",
    "Evaluation",
    "ExponentialWarmup",
    "GenerativeModel",
    "LatentVariableModel",
    "LinearWarmup",
    "LogEntry",
    "MarginalDistribution",
    "Model",
    "Optimization",
    "ReconstructionModel",
    "RepresentationLearningModel",
    "Schedule",
    "SizedDataset",
    "VariationalModel",
    "add_losses",
    "call_frozen",
    "check_count",
    "check_non_negative",
    "check_requirements",
    "check_scores",
    "check_shapes",
    "generate_like",
    "get_batch",
    "get_mean",
    "get_split",
    "get_tensor",
    "get_value",
    "iterate_batches",
    "kl_divergence",
    "name_numbers",
    "reparametrize",
    "run_evaluation",
    "sample_or_mean",
    "share",
    "sharing",
    "undisturbed",
]
