"""The edge to people on the same machine: the unix socket that the CLI talks to, and the probes."""
