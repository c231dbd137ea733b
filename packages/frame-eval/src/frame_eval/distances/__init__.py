"""Distances of samples to data."""
