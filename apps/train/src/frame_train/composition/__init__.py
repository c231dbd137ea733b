"""Composition of a config, and construction of the objects that it describes."""
