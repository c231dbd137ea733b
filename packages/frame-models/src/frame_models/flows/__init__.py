"""Normalizing flows, flow matching and diffusion."""
