"""Composition with Hydra, data sets, optimization procedures, callbacks and the command train."""
