"""The representative experiment of each shipped method, with its loop."""

from benchmarks.loops import adversarial, flows, labels, latent_variables, mutual_information, representations
from benchmarks.loops.batches import binarize, draw_views
from benchmarks.loops.method import Method
from benchmarks.loops.updates import make_adam, make_adamw_cosine, make_adversarial_adam

_PAIRS = ("v1", "v2")
_LABELLED = ("x", "y")


def _choose(experiment: str, *overrides: str) -> tuple[str, ...]:
    return (f"+experiment={experiment}", *overrides)


METHODS = {
    "AE": Method(_choose("MNIST_AE"), latent_variables.make_ae, make_adam),
    "VAE": Method(_choose("DIGITS_VAE"), latent_variables.make_vae, make_adam),
    "CVAE": Method(_choose("MNIST_CVAE"), latent_variables.make_cvae, make_adam, _LABELLED),
    "IWAE": Method(_choose("MNIST_IWAE"), latent_variables.make_iwae, make_adam, transform=binarize),
    "BetaTCVAE": Method(_choose("Shapes_BetaTCVAE"), latent_variables.make_beta_tcvae, make_adam),
    "CategoricalVAE": Method(_choose("DIGITS_CategoricalVAE"), latent_variables.make_categorical_vae, make_adam),
    "HierarchicalVAE": Method(_choose("DIGITS_HierarchicalVAE"), latent_variables.make_hierarchical_vae, make_adam),
    "M2": Method(_choose("DIGITS_M2"), latent_variables.make_m2, make_adam, _LABELLED),
    "VQVAE": Method(_choose("MNIST_VQVAE"), latent_variables.make_vqvae, make_adam),
    "GAN": Method(_choose("DIGITS_DCGAN"), adversarial.make_gan, make_adversarial_adam),
    "WGAN_GP": Method(_choose("MNIST_WGAN_GP"), adversarial.make_wgan_gp, make_adversarial_adam),
    "FactorVAE": Method(_choose("Shapes_FactorVAE"), adversarial.make_factor_vae, make_adversarial_adam),
    "FlowMatching": Method(
        _choose("Moons_FlowMatching", "model=FlowMatching"), flows.make_flow_matching, make_adamw_cosine, n_draws=100
    ),
    "OTFlowMatching": Method(
        _choose("Moons_FlowMatching"), flows.make_ot_flow_matching, make_adamw_cosine, n_draws=100
    ),
    "GuidedFlowMatching": Method(_choose("DIGITS_FlowMatching"), flows.make_guided_flow_matching, make_adam, _LABELLED),
    "DDPM": Method(_choose("DIGITS_DDPM"), flows.make_ddpm, make_adam),
    "Density": Method(_choose("DIGITS_MAF"), flows.make_density, make_adamw_cosine),
    "SimCLR": Method(_choose("MNIST_SimCLR"), representations.make_simclr, make_adam, transform=draw_views),
    "BarlowTwins": Method(
        _choose("MNIST_BarlowTwins"), representations.make_barlow_twins, make_adam, transform=draw_views
    ),
    "VICReg": Method(_choose("MNIST_VICReg"), representations.make_vicreg, make_adam, transform=draw_views),
    "MIB": Method(_choose("MNIST_MIB"), representations.make_mib, make_adam, transform=draw_views),
    **{
        name: Method(_choose("CorrelatedGaussians_SMILE", f"model={name}"), make_losses, make_adam, _PAIRS)
        for name, make_losses in {
            "InfoNCE": mutual_information.make_infonce,
            "NWJ": mutual_information.make_nwj,
            "SMILE": mutual_information.make_smile,
            "MINE": mutual_information.make_mine,
        }.items()
    },
    "Classifier": Method(_choose("DIGITS_Classifier"), labels.make_classifier, make_adam, _LABELLED),
    "VIB": Method(_choose("DIGITS_CEB", "model=VIB"), labels.make_vib, make_adam, _LABELLED),
    "CEB": Method(_choose("DIGITS_CEB"), labels.make_ceb, make_adam, _LABELLED),
}
"""The methods by the name of their option of the group `model`."""
