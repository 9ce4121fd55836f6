"""How a name becomes a begun folder, checked before any work is spent."""
