"""Users of MongoDB, and of DocumentDB, which speaks its protocol."""
