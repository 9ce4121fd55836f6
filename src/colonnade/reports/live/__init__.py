"""The page of a suite that is still learning, served on this machine alone."""
