"""Hypothesis profile without a deadline, since a busy machine is slow."""

from hypothesis import settings

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
