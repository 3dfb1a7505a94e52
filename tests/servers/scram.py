"""The server's side of SCRAM (RFC 5802, RFC 7677), for the peer of the MongoDB tests."""

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import Final

ITERATIONS: Final = 4096
"""The least that the RFCs and drivers take; MongoDB's own are 10,000 and 15,000."""

HASHES: Final = {"SCRAM-SHA-1": "sha1", "SCRAM-SHA-256": "sha256"}

_GS2_HEADER: Final = "n,,"
_CHANNEL_BINDING: Final = "c=biws"


class ScramError(Exception):
    """The client's message is wrong, or its proof."""


@dataclass(frozen=True, slots=True)
class Verifier:
    """What a server keeps of a password: RFC 5802, section 3."""

    mechanism: str
    salt: bytes
    iterations: int
    stored_key: bytes
    server_key: bytes

    @classmethod
    def of(
        cls,
        mechanism: str,
        password: str,
        *,
        salt: bytes | None = None,
        iterations: int = ITERATIONS,
    ) -> "Verifier":
        name = HASHES[mechanism]
        salt = secrets.token_bytes(16) if salt is None else salt
        salted = hashlib.pbkdf2_hmac(name, password.encode(), salt, iterations)
        client_key = hmac.digest(salted, b"Client Key", name)
        server_key = hmac.digest(salted, b"Server Key", name)
        return cls(mechanism, salt, iterations, hashlib.new(name, client_key).digest(), server_key)


@dataclass(frozen=True, slots=True)
class Conversation:
    """One login between its first and its last message."""

    verifier: Verifier
    client_first_bare: str
    server_first: str
    nonce: str

    @classmethod
    def begin(
        cls, verifier: Verifier, client_first: str, *, server_nonce: str | None = None
    ) -> "Conversation":
        bare = client_first.removeprefix(_GS2_HEADER)
        _, nonce = _fields(bare, "n", "r")
        nonce += secrets.token_urlsafe(18) if server_nonce is None else server_nonce
        salt = base64.b64encode(verifier.salt).decode()
        return cls(verifier, bare, f"r={nonce},s={salt},i={verifier.iterations}", nonce)

    def finish(self, client_final: str) -> str:
        """Check the proof, and return the server's last message.

        Raises:
            ScramError: the client does not know the password.
        """
        without_proof, _, proof = client_final.rpartition(",p=")
        if without_proof != f"{_CHANNEL_BINDING},r={self.nonce}":
            raise ScramError
        name = HASHES[self.verifier.mechanism]
        message = f"{self.client_first_bare},{self.server_first},{without_proof}".encode()
        signature = hmac.digest(self.verifier.stored_key, message, name)
        client_key = _xor(base64.b64decode(proof), signature)
        if not hmac.compare_digest(
            hashlib.new(name, client_key).digest(), self.verifier.stored_key
        ):
            raise ScramError
        server_signature = hmac.digest(self.verifier.server_key, message, name)
        return f"v={base64.b64encode(server_signature).decode()}"


def username_in(client_first: str) -> str:
    """Return the user name of a client's first message."""
    if not client_first.startswith(_GS2_HEADER):
        raise ScramError
    name, _ = _fields(client_first.removeprefix(_GS2_HEADER), "n", "r")
    return name.replace("=2C", ",").replace("=3D", "=")


def _fields(message: str, *names: str) -> tuple[str, ...]:
    parts = message.split(",")
    if len(parts) != len(names):
        raise ScramError
    for part, name in zip(parts, names, strict=True):
        if not part.startswith(f"{name}="):
            raise ScramError
    return tuple(part[2:] for part in parts)


def _xor(one: bytes, other: bytes) -> bytes:
    if len(one) != len(other):
        raise ScramError
    return bytes(a ^ b for a, b in zip(one, other, strict=True))
