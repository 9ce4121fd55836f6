"""What the stress test does to runs, a mode a file; `tests/stress.py` is its door."""
