"""Keyturn: a secrets manager that lives inside Kubernetes."""

__version__ = "0.1.0"
