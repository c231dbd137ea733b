"""Limits on the config of a foreign run."""
