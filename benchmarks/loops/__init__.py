"""Training loops written by hand in plain torch, one for each shipped method."""
