"""What trained policies lean on, and what they bear: features, filters, weights."""
