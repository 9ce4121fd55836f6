"""Agents at play, as films: shot, written, and kept beside their runs."""
