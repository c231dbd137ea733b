"""Several runs side by side: summaries, differences, and removal."""
