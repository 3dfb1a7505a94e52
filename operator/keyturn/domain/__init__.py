"""The vocabulary of Keyturn: pure, the standard library only.

What belongs here: types and rules that hold whatever store, cluster or key provider is in use.
What does not: anything that reads a clock, a file, the environment or the network.
"""
