"""Pages and pictures, from the numbers of a folder alone."""
