"""What is done with a finished network: load, play, analyse, prune."""
