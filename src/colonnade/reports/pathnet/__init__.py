"""PathNet: paths, generations and reuse."""
