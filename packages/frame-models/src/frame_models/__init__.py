"""Deep-learning methods, independent of data set and architecture."""

from frame_models import couplings, solvers
from frame_models.autoencoder import Autoencoder
from frame_models.barlow_twins import BarlowTwins
from frame_models.beta_tcvae import BetaTCVAE
from frame_models.categorical_vae import CategoricalVariationalAutoencoder
from frame_models.ceb import ConditionalEntropyBottleneck
from frame_models.classifier import Classifier
from frame_models.code_prior import CodePrior
from frame_models.cvae import ConditionalVariationalAutoencoder
from frame_models.ddpm import DenoisingDiffusion
from frame_models.density import DensityEstimator
from frame_models.factor_vae import FactorVAE
from frame_models.flow_matching import FlowMatching
from frame_models.gan import GenerativeAdversarialNetwork
from frame_models.guided_flow_matching import GuidedFlowMatching
from frame_models.hierarchical_vae import HierarchicalVariationalAutoencoder
from frame_models.iwae import ImportanceWeightedAutoencoder
from frame_models.mib import MultiViewInformationBottleneck
from frame_models.mutual_information import MINE, NWJ, SMILE, InfoNCE
from frame_models.semi_supervised_vae import SemiSupervisedVariationalAutoencoder
from frame_models.simclr import SimCLR
from frame_models.vae import VariationalAutoencoder
from frame_models.vib import VariationalInformationBottleneck
from frame_models.vicreg import VICReg
from frame_models.vqvae import VectorQuantizedVariationalAutoencoder
from frame_models.wgan import WassersteinGAN

__all__ = [
    "MINE",
    "NWJ",
    "SMILE",
    "Autoencoder",
    "BarlowTwins",
    "BetaTCVAE",
    "CategoricalVariationalAutoencoder",
    "Classifier",
    "CodePrior",
    "ConditionalEntropyBottleneck",
    "ConditionalVariationalAutoencoder",
    "DenoisingDiffusion",
    "DensityEstimator",
    "FactorVAE",
    "FlowMatching",
    "GenerativeAdversarialNetwork",
    "GuidedFlowMatching",
    "HierarchicalVariationalAutoencoder",
    "ImportanceWeightedAutoencoder",
    "InfoNCE",
    "MultiViewInformationBottleneck",
    "SemiSupervisedVariationalAutoencoder",
    "SimCLR",
    "VICReg",
    "VariationalAutoencoder",
    "VariationalInformationBottleneck",
    "VectorQuantizedVariationalAutoencoder",
    "WassersteinGAN",
    "couplings",
    "solvers",
]
