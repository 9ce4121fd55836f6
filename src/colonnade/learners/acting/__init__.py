"""How learners act in environments, and what they remember of it."""
