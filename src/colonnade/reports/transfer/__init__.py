"""Transfer: curves, matrix and table."""
