"""What was learned, measured: transfer between tasks, and which features carry it."""
