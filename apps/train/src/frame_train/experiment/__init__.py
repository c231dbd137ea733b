"""Experiments: what a config composes, checked before anything trains."""
