"""Running what was planned: schedule, workers, and the run itself."""
