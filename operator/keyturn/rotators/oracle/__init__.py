"""The passwords of users of an Oracle database."""
