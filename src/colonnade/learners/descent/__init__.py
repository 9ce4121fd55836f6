"""Descent: what gradient steps are made of."""
