import inspect

import torch

from frame_architectures import mnist


def test_pictures_have_the_shape_of_the_data_set() -> None:
    assert mnist.INPUT_SHAPE == (1, 28, 28)
    assert mnist.N_INPUTS == 784
    assert mnist.N_LABELS == 10


def test_signatures_are_those_of_a_config() -> None:
    for network in (mnist.Encoder, mnist.Decoder):
        assert list(inspect.signature(network).parameters) == ["z_dim", "layers"]


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
