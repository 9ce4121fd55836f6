"""The agent at play, before and after training."""
