"""The use cases: what can be asked of Keyturn, and what it does by itself."""
