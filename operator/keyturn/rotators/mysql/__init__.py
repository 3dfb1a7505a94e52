"""The passwords of users of MariaDB and MySQL."""
