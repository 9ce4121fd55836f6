"""What was found, on one screen."""
