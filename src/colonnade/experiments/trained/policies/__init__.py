"""Trained policies outside of their folders: loaded, saved, exported."""
