"""The contracts between models, architectures, evaluations, procedures and loggers."""

from frame_core.data import BatchedDataset, SizedDataset, get_batch, get_split, iterate_batches
from frame_core.distributions import ConditionalDistribution, MarginalDistribution, kl_divergence
from frame_core.entry_logger import EntryLogger
from frame_core.evaluation import Evaluation, check_requirements, run_evaluation
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
)
from frame_core.models import (
    ClassificationModel,
    GenerativeModel,
    Model,
    ReconstructionModel,
    RepresentationLearningModel,
    VariationalModel,
)
from frame_core.optimization import Optimization

__all__ = [
    "HISTOGRAM_ENTRY",
    "IMAGE_ENTRY",
    "PLOT_ENTRY",
    "SCALARS_ENTRY",
    "SCALAR_ENTRY",
    "TABLE_ENTRY",
    "TEXT_ENTRY",
    "BatchedDataset",
    "ClassificationModel",
    "ConditionalDistribution",
    "EntryLogger",
    "EntryType",
    "Evaluation",
    "GenerativeModel",
    "LogEntry",
    "MarginalDistribution",
    "Model",
    "Optimization",
    "ReconstructionModel",
    "RepresentationLearningModel",
    "SizedDataset",
    "VariationalModel",
    "check_requirements",
    "get_batch",
    "get_split",
    "iterate_batches",
    "kl_divergence",
    "run_evaluation",
]
