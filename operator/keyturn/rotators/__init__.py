"""Rotators: each changes a credential in one kind of target system."""
