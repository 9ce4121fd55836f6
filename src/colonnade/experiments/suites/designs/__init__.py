"""What suites have in common: a suite is a design with its settings."""
