"""Learning with several processes."""
