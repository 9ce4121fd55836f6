"""Acting: policies, and the experience that they collect."""
