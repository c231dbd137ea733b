"""Run directories: their layout, checkpoints, stored runs."""
