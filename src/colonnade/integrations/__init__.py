"""Colonnade's parts in other libraries' training loops; each needs an extra of its own."""
