"""What is to be run: specs of runs, plans of suites, and the draws of a sweep."""
