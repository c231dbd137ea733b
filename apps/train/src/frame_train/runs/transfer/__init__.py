"""Trained weights of stored runs in new runs."""
