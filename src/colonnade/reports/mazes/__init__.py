"""What a report shows of mazes."""
