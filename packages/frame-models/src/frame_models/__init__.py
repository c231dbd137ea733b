"""Deep-learning methods, free of data and architecture."""

from frame_models.vae import VariationalAutoencoder

__all__ = ["VariationalAutoencoder"]
