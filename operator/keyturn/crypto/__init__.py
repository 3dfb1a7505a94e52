"""Envelope encryption: the only way in and out of ciphertext."""
