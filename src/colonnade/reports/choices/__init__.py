"""What was chosen while a suite ran, and from what."""
