"""What is kept on disk: the folders of suites and runs, and their files."""
