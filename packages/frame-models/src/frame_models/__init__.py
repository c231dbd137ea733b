"""Deep-learning methods, free of data and architecture."""
