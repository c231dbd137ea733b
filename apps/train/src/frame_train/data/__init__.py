"""Data sets with fixed train, valid and test splits, and a loader of training batches."""

from frame_train.data.augmentation import RandomShift
from frame_train.data.in_memory import InMemoryDataset
from frame_train.data.loaders import make_shuffled_loader
from frame_train.data.sources.densities import Checkerboard, CorrelatedGaussians, EightGaussians, Moons
from frame_train.data.sources.digits import Digits
from frame_train.data.sources.mnist import EMNIST, KMNIST, MNIST, FashionMNIST
from frame_train.data.sources.natural_images import CIFAR10, SVHN
from frame_train.data.sources.shapes import Shapes
from frame_train.data.synthetic import SyntheticDataset
from frame_train.data.wrappers.binarized import Binarized
from frame_train.data.wrappers.collated import Collated
from frame_train.data.wrappers.fold import Fold
from frame_train.data.wrappers.partly_labelled import PartlyLabelled
from frame_train.data.wrappers.transformed import TransformedDataset
from frame_train.data.wrappers.views import RandomView, TwoViews

__all__ = [
    "CIFAR10",
    "EMNIST",
    "KMNIST",
    "MNIST",
    "SVHN",
    "Binarized",
    "Checkerboard",
    "Collated",
    "CorrelatedGaussians",
    "Digits",
    "EightGaussians",
    "FashionMNIST",
    "Fold",
    "InMemoryDataset",
    "Moons",
    "PartlyLabelled",
    "RandomShift",
    "RandomView",
    "Shapes",
    "SyntheticDataset",
    "TransformedDataset",
    "TwoViews",
    "make_shuffled_loader",
]
