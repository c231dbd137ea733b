import inspect

import pytest
import torch

from frame_architectures import mnist


def test_pictures_have_the_shape_of_the_data_set() -> None:
    assert mnist.INPUT_SHAPE == (1, 28, 28)
    assert mnist.N_INPUTS == 784
    assert mnist.N_LABELS == 10


def test_signatures_are_those_of_a_config() -> None:
    signatures = {
        mnist.Encoder: ["z_dim", "layers", "posterior", "scale_offset"],
        mnist.Decoder: ["z_dim", "layers"],
        mnist.ConvEncoder: ["z_dim", "channels", "posterior", "scale_offset"],
        mnist.ConvDecoder: ["z_dim", "channels"],
        mnist.LabelPredictor: ["z_dim", "layers"],
        mnist.LabelClassifier: ["layers"],
        mnist.Generator: ["z_dim", "layers"],
        mnist.Discriminator: ["layers", "dropout"],
    }
    for network, names in signatures.items():
        assert list(inspect.signature(network).parameters) == names


def test_decoder_gives_back_pictures_of_the_shape_the_encoder_takes() -> None:
    encoder, decoder = mnist.Encoder(3, [6, 5]), mnist.Decoder(3, [5, 6])
    x = torch.rand(2, 4, *mnist.INPUT_SHAPE)
    q_z = encoder(x)
    p_x = decoder(q_z.mean)
    assert (q_z.batch_shape, q_z.event_shape) == ((2, 4), (3,))
    assert (p_x.batch_shape, p_x.event_shape) == ((2, 4), mnist.INPUT_SHAPE)


def test_hidden_layers_come_in_the_order_given() -> None:
    sizes = [weight.shape[0] for weight in mnist.Encoder(3, [1024, 16]).parameters() if weight.ndim == 2]
    assert sizes == [1024, 16, 2 * 3]
    sizes = [weight.shape[0] for weight in mnist.Decoder(3, [16, 1024]).parameters() if weight.ndim == 2]
    assert sizes == [16, 1024, mnist.N_INPUTS]


def test_four_convolutions_are_the_most() -> None:
    x = torch.rand(2, *mnist.INPUT_SHAPE)
    p_x = mnist.ConvDecoder(3, [4, 4, 4, 4])(mnist.ConvEncoder(3, [4, 4, 4, 4])(x).mean)
    assert p_x.event_shape == mnist.INPUT_SHAPE
    for network in (mnist.ConvEncoder, mnist.ConvDecoder):
        with pytest.raises(ValueError, match=r"`channels` must be few enough for a picture of 28 × 28, .* got 5"):
            network(3, [4, 4, 4, 4, 4])


def test_labels_are_ten() -> None:
    assert mnist.LabelPredictor(3, [])(torch.randn(5, 3)).probs.shape == (5, 10)
    assert mnist.LabelClassifier([8])(torch.rand(5, *mnist.INPUT_SHAPE)).probs.shape == (5, 10)


def test_network_of_the_information_bottleneck_can_be_that_of_its_paper() -> None:
    # 784-1024-1024 with ReLUs, 256 dimensions, scale softplus(s - 5), a linear decoder (Alemi et al., 2017)
    encoder = mnist.Encoder(256, [1024, 1024], scale_offset=-5.0)
    sizes = [tuple(weight.shape) for weight in encoder.parameters() if weight.ndim == 2]
    assert sizes == [(1024, 784), (1024, 1024), (512, 1024)]
    assert encoder(torch.zeros(1, *mnist.INPUT_SHAPE)).stddev.median() < 0.01  # softplus(-5) is 0.0067
    predictor = mnist.LabelPredictor(256, [])
    assert [tuple(weight.shape) for weight in predictor.parameters()] == [(10, 256), (10,)]


def test_generated_pictures_lie_between_0_and_1_and_are_told_by_one_number_each() -> None:
    pictures = mnist.Generator(3, [8]).double()(10 * torch.randn(2, 4, 3).double())
    assert (pictures.batch_shape, pictures.event_shape) == ((2, 4), mnist.INPUT_SHAPE)
    assert pictures.mean.min() >= 0
    assert pictures.mean.max() <= 1
    assert mnist.Discriminator([8]).double()(pictures.mean).shape == (2, 4)


def test_score_of_a_picture_depends_on_no_other() -> None:
    discriminator, x = mnist.Discriminator([8, 8]).train(), torch.rand(5, *mnist.INPUT_SHAPE)
    torch.testing.assert_close(discriminator(x[:1]), discriminator(x)[:1])
