"""PathNet as a method: paths evolved by tournament, and its controls."""
