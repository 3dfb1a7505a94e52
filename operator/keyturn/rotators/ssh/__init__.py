"""The rotator of SSH keys in a user's authorized_keys file."""
