"""Generators: each makes a new value. Randomness is nowhere else in Keyturn."""
