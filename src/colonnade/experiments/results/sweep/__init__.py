"""What a sweep came to: jobs, hyperparameters, jobs that were stopped early."""
