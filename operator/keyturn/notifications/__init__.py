"""What the outside is told of rotations over HTTP; docs/events.md is the contract."""
