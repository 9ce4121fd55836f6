"""PathNet's numbers: paths, and generations."""
