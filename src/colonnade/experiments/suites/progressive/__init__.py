"""The suites of progressive networks (Rusu et al. 2016)."""
