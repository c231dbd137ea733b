import inspect

import torch

from frame_architectures import digits


def test_images_have_the_shape_of_the_data_set() -> None:
    assert digits.INPUT_SHAPE == (1, 8, 8)
    assert digits.N_INPUTS == 64
    assert digits.N_LABELS == 10


def test_signatures_match_the_configs() -> None:
    signatures = {
        digits.Encoder: ["z_dim", "layers", "posterior", "scale_offset", "min_scale"],
        digits.Decoder: ["z_dim", "layers", "likelihood", "scale", "min_scale"],
        digits.LabelPredictor: ["z_dim", "layers"],
        digits.LabelClassifier: ["layers"],
    }
    for network, names in signatures.items():
        assert list(inspect.signature(network).parameters) == names


def test_there_are_ten_labels() -> None:
    assert digits.LabelPredictor(3, [])(torch.randn(5, 3)).probs.shape == (5, 10)
    assert digits.LabelClassifier([8])(torch.rand(5, *digits.INPUT_SHAPE)).probs.shape == (5, 10)


def test_decoder_returns_images_of_the_shape_the_encoder_takes() -> None:
    encoder, decoder = digits.Encoder(3, [6, 5]), digits.Decoder(3, [5, 6])
    x = torch.rand(2, 4, *digits.INPUT_SHAPE)
    q_z = encoder(x)
    p_x = decoder(q_z.mean)
    assert (q_z.batch_shape, q_z.event_shape) == ((2, 4), (3,))
    assert (p_x.batch_shape, p_x.event_shape) == ((2, 4), digits.INPUT_SHAPE)


def test_hidden_layers_are_in_the_given_order() -> None:
    sizes = [weight.shape[0] for weight in digits.Encoder(3, [128, 16]).parameters() if weight.ndim == 2]
    assert sizes == [128, 16, 2 * 3]
    sizes = [weight.shape[0] for weight in digits.Decoder(3, [16, 128]).parameters() if weight.ndim == 2]
    assert sizes == [16, 128, digits.N_INPUTS]
