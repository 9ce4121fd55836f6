"""The suites of PathNet (Fernando et al. 2017)."""
