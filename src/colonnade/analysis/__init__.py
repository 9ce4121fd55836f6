"""Pure functions on arrays of results: transfer, forgetting, intervals."""
