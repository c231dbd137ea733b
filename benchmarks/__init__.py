"""How fast training, start-up, evaluation and the loading of data are, against a floor written in plain PyTorch."""
