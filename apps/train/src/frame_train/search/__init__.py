"""Search for good hyper-parameters with Optuna: the file of a search, its study, and its trials."""
