"""The diagonal of the Fisher information, and what estimates it in one pass."""
