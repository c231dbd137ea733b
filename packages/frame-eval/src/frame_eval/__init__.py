"""Evaluations that turn a training procedure into a log entry."""
