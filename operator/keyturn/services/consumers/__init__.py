"""Those that use a projected Secret: who they are, what is done for them, what waits for them."""
