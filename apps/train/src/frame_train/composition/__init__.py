"""Composition of a config, and construction of its objects."""
