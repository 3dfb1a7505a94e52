"""The rotator of OAuth 2 tokens: an authorization server issues new ones for a refresh token."""
