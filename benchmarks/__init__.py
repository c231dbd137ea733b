"""Benchmarks of training, start-up, evaluation and data loading against a floor in plain PyTorch."""
