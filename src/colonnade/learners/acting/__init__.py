"""Acting: policies, the experience that they collect, and what is remembered of it."""
