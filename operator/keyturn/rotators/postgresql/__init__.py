"""The rotator of PostgreSQL, and of Redshift as a dialect of it."""
