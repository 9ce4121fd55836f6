"""Parts of one's own for Colonnade; pyproject.toml says by which names they are known."""
