"""How scores hang on hyperparameters."""
