"""Evaluations of predicted labels."""
