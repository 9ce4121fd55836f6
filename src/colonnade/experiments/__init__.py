"""Experiments: frozen specs, the runs they stand for, where runs are kept and what they show."""
