import inspect

import pytest
import torch

from frame_architectures import mnist


def test_images_have_the_shape_of_the_data_set() -> None:
    assert mnist.INPUT_SHAPE == (1, 28, 28)
    assert mnist.N_INPUTS == 784
    assert mnist.N_LABELS == 10


def test_signatures_match_the_configs() -> None:
    signatures = {
        mnist.Encoder: ["z_dim", "layers", "posterior", "scale_offset", "min_scale"],
        mnist.Decoder: ["z_dim", "layers", "likelihood", "scale", "min_scale"],
        mnist.ConvEncoder: ["z_dim", "channels", "posterior", "scale_offset", "min_scale"],
        mnist.ConditionalEncoder: ["z_dim", "layers"],
        mnist.ConditionalDecoder: ["z_dim", "layers"],
        mnist.ConvDecoder: ["z_dim", "channels", "likelihood", "scale", "min_scale"],
        mnist.GridEncoder: ["code_dim", "channels"],
        mnist.GridDecoder: ["code_dim", "channels"],
        mnist.LabelPredictor: ["z_dim", "layers"],
        mnist.LabelClassifier: ["layers"],
        mnist.ConvLabelClassifier: ["channels", "layers"],
        mnist.Generator: ["z_dim", "layers"],
        mnist.Discriminator: ["layers", "dropout"],
    }
    for network, names in signatures.items():
        assert list(inspect.signature(network).parameters) == names


def test_decoder_returns_images_of_the_shape_the_encoder_takes() -> None:
    encoder, decoder = mnist.Encoder(3, [6, 5]), mnist.Decoder(3, [5, 6])
    x = torch.rand(2, 4, *mnist.INPUT_SHAPE)
    q_z = encoder(x)
    p_x = decoder(q_z.mean)
    assert (q_z.batch_shape, q_z.event_shape) == ((2, 4), (3,))
    assert (p_x.batch_shape, p_x.event_shape) == ((2, 4), mnist.INPUT_SHAPE)


def test_hidden_layers_are_in_the_given_order() -> None:
    sizes = [weight.shape[0] for weight in mnist.Encoder(3, [1024, 16]).parameters() if weight.ndim == 2]
    assert sizes == [1024, 16, 2 * 3]
    sizes = [weight.shape[0] for weight in mnist.Decoder(3, [16, 1024]).parameters() if weight.ndim == 2]
    assert sizes == [16, 1024, mnist.N_INPUTS]


def test_there_are_at_most_four_convolutions() -> None:
    x = torch.rand(2, *mnist.INPUT_SHAPE)
    p_x = mnist.ConvDecoder(3, [4, 4, 4, 4])(mnist.ConvEncoder(3, [4, 4, 4, 4])(x).mean)
    assert p_x.event_shape == mnist.INPUT_SHAPE
    for network in (mnist.ConvEncoder, mnist.ConvDecoder):
        with pytest.raises(
            ValueError, match=r"`channels` has 5 entries, but an image of 28 × 28 cannot be halved 5 times"
        ):
            network(3, [4, 4, 4, 4, 4])
    assert mnist.ConvLabelClassifier([4, 4, 4, 4], [])(x).probs.shape == (2, 10)
    with pytest.raises(ValueError, match=r"`channels` has 5 entries"):
        mnist.ConvLabelClassifier([4, 4, 4, 4, 4], [])


def test_there_are_ten_labels() -> None:
    assert mnist.LabelPredictor(3, [])(torch.randn(5, 3)).probs.shape == (5, 10)
    assert mnist.LabelClassifier([8])(torch.rand(5, *mnist.INPUT_SHAPE)).probs.shape == (5, 10)


def test_the_networks_of_the_information_bottleneck_paper_can_be_built() -> None:
    # 784-1024-1024 with ReLUs, 256 dimensions, scale softplus(s - 5), a linear decoder (Alemi et al., 2017)
    encoder = mnist.Encoder(256, [1024, 1024], scale_offset=-5.0)
    sizes = [tuple(weight.shape) for weight in encoder.parameters() if weight.ndim == 2]
    assert sizes == [(1024, 784), (1024, 1024), (512, 1024)]
    assert (
        encoder(torch.zeros(1, *mnist.INPUT_SHAPE)).stddev.median() < 0.01
    )  # softplus(-5) is 0.0067, and the smallest scale 0.001
    predictor = mnist.LabelPredictor(256, [])
    assert [tuple(weight.shape) for weight in predictor.parameters()] == [(10, 256), (10,)]


def test_generated_images_are_between_0_and_1_and_have_one_score_each() -> None:
    images = mnist.Generator(3, [8]).double()(10 * torch.randn(2, 4, 3).double())
    assert (images.batch_shape, images.event_shape) == ((2, 4), mnist.INPUT_SHAPE)
    assert images.mean.min() >= 0
    assert images.mean.max() <= 1
    assert mnist.Discriminator([8]).double()(images.mean).shape == (2, 4)


def test_score_of_an_image_does_not_depend_on_other_images() -> None:
    discriminator, x = mnist.Discriminator([8, 8]).train(), torch.rand(5, *mnist.INPUT_SHAPE)
    torch.testing.assert_close(discriminator(x[:1]), discriminator(x)[:1])
