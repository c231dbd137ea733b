"""Table of results beside published numbers, its measurements, and the command that verifies it."""
