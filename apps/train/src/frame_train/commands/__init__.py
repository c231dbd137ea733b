"""Entry points of the commands `train` and `evaluate`."""
