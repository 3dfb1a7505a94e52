"""Users of the access control list (ACL) of Redis 7 and Valkey."""
