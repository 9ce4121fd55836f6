"""Labelled images: the data sets by name, and the tasks made of them."""
