"""Probes of representations, and measures of their disentanglement."""
