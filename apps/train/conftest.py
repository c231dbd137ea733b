"""Deferred packages, as in every command."""

from frame_train.commands.startup import defer_packages

defer_packages()  # before the first import of torch or Lightning
