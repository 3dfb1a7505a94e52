"""The store: every version of every secret, encrypted, durable before anybody uses it.

What belongs here: how ciphertext, stages, claims and projections are kept, and nothing else.
A store never sees plaintext and knows no cluster.
"""
