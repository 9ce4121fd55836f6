"""The suites of the arm (Rusu et al. 2017, arXiv 1610.04286)."""
