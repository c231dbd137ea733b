"""Models of two views of each example."""
