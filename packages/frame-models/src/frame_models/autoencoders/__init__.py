"""Autoencoders with a continuous latent."""
