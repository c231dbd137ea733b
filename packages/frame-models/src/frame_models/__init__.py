"""Deep-learning methods, independent of data set and architecture."""

from frame_models import couplings, solvers
from frame_models.adversarial.gan import GenerativeAdversarialNetwork
from frame_models.adversarial.wgan import WassersteinGAN
from frame_models.autoencoders.autoencoder import Autoencoder
from frame_models.autoencoders.beta_tcvae import BetaTCVAE
from frame_models.autoencoders.cvae import ConditionalVariationalAutoencoder
from frame_models.autoencoders.factor_vae import FactorVAE
from frame_models.autoencoders.hierarchical_vae import HierarchicalVariationalAutoencoder
from frame_models.autoencoders.iwae import ImportanceWeightedAutoencoder
from frame_models.autoencoders.semi_supervised_vae import SemiSupervisedVariationalAutoencoder
from frame_models.autoencoders.vae import VariationalAutoencoder
from frame_models.discrete_latents.categorical_vae import CategoricalVariationalAutoencoder
from frame_models.discrete_latents.code_prior import CodePrior
from frame_models.discrete_latents.vqvae import VectorQuantizedVariationalAutoencoder
from frame_models.flows.ddpm import DenoisingDiffusion
from frame_models.flows.density import DensityEstimator
from frame_models.flows.flow_matching import FlowMatching
from frame_models.flows.guided_flow_matching import GuidedFlowMatching
from frame_models.supervised.ceb import ConditionalEntropyBottleneck
from frame_models.supervised.classifier import Classifier
from frame_models.supervised.vib import VariationalInformationBottleneck
from frame_models.two_views.barlow_twins import BarlowTwins
from frame_models.two_views.mib import MultiViewInformationBottleneck
from frame_models.two_views.mutual_information import MINE, NWJ, SMILE, InfoNCE
from frame_models.two_views.simclr import SimCLR
from frame_models.two_views.vicreg import VICReg

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
