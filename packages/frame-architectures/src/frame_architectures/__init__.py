"""Layers, priors and networks that turn tensors into distributions."""
