"""Loggers that show entries on Weights & Biases, TensorBoard or in files."""
