"""Key providers: what holds the key encryption key and wraps data keys."""
