"""The numbers that pages show, computed apart from any picture."""
