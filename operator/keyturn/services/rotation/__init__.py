"""The rotation engine: decides when, makes the pending version, and runs the machine."""
