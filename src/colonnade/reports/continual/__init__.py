"""Tasks one after another: what is kept."""
