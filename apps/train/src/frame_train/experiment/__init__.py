"""Experiments: the objects of a config, checked before training."""
