"""How an HTTP call of ours is signed: scheme v1 of the Standard Webhooks specification.

The libraries of https://www.standardwebhooks.com/ verify it.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence

from keyturn.domain.errors import InvalidParameterError
from keyturn.domain.payload import SecretValue

LEAST_KEY_BYTES = 24
"""The Standard Webhooks specification asks for a key of 24 to 64 bytes."""

_KEY_PREFIX = b"whsec_"


def signed_headers(
    keys: Sequence[SecretValue], delivery_id: str, timestamp: int, body: bytes | memoryview
) -> Mapping[str, str]:
    """Return the three headers of a signed call; with several keys it bears several signatures.

    `timestamp` is in seconds since 1970; the same delivery has the same id each time it is sent.

    Raises:
        InvalidParameterError: a key is too short, or no base64 where it says to be.
    """
    signatures = [sign(key, delivery_id, timestamp, body) for key in keys]
    return {
        "webhook-id": delivery_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signatures),
    }


def sign(key: SecretValue, delivery_id: str, timestamp: int, body: bytes | memoryview) -> str:
    """Sign a body by one key. Raises: as `signed_headers`."""
    used = _key(key)
    digest = hmac.new(used, f"{delivery_id}.{timestamp}.".encode(), hashlib.sha256)
    used[:] = bytes(len(used))
    digest.update(body)
    return f"v1,{base64.b64encode(digest.digest()).decode()}"


def _key(key: SecretValue) -> bytearray:
    written = bytearray(key.reveal())
    if written.startswith(_KEY_PREFIX):
        try:
            written = bytearray(binascii.a2b_base64(written[len(_KEY_PREFIX) :], strict_mode=True))
        except binascii.Error:
            raise InvalidParameterError(
                "the signing key begins with whsec_, but what follows is no base64"
            ) from None
    if len(written) < LEAST_KEY_BYTES:
        raise InvalidParameterError(
            f"the signing key is shorter than {LEAST_KEY_BYTES} bytes; make one, for example by "
            "generate: {base64: {bytes: 32}}"
        )
    return written
