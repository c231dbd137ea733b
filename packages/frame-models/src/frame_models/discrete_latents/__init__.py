"""Autoencoders with discrete latents, and a prior over their codes."""
