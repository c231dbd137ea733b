"""Losses, likelihoods and their bounds."""
