"""Progressive networks: a column a task, with lateral connections (Rusu et al. 2016)."""
