"""Callbacks that end training, and the detection of numbers that are not finite."""
