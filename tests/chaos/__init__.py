"""Real hosts, converged over and over while something breaks; see `rounds.py`."""
