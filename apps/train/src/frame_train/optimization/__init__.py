"""Optimization modules, which update a model."""

from frame_train.distributed.sharding import ShardedStrategy
from frame_train.optimization.adam import AdamBatchOptimization
from frame_train.optimization.adversarial import AdversarialOptimization
from frame_train.optimization.batch import BatchOptimization
from frame_train.optimization.learning_rate import warmup_cosine
from frame_train.optimization.module import OptimizationModule

__all__ = [
    "AdamBatchOptimization",
    "AdversarialOptimization",
    "BatchOptimization",
    "OptimizationModule",
    "ShardedStrategy",
    "warmup_cosine",
]
