"""What the config of a foreign run may build and read."""
