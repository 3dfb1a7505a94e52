"""What is sent for a step: the JSON with the values in one buffer, and its signature.

The contract is docs/rotators-webhook.md with docs/webhook-rotator.openapi.yaml.
"""

import base64
import binascii
import hashlib
import hmac
import json
from binascii import b2a_base64
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from keyturn.domain.errors import InvalidParameterError
from keyturn.domain.payload import SecretValue
from keyturn.rotators.interface import Credential

LEAST_KEY_BYTES = 24
"""The Standard Webhooks specification asks for a key of 24 to 64 bytes."""

_KEY_PREFIX = b"whsec_"
_ESCAPED = tuple(
    json.dumps(chr(byte))[1:-1].encode() if chr(byte).isascii() else bytes([byte])
    for byte in range(256)
)

Part = Credential | Sequence[Credential]


class Delivery(NamedTuple):
    """A body and its headers; whoever asked for it zeroes the body."""

    headers: Mapping[str, str]
    body: SecretValue


def deliver(
    head: Mapping[str, Any],
    parts: Mapping[str, Part],
    *,
    timestamp: int,
    keys: Sequence[SecretValue],
) -> Delivery:
    """Write the call of a step; `head` holds no values, and has its `id`; `parts` hold them.

    Raises:
        InvalidParameterError: a key cannot be used.
    """
    body = write_body(head, parts)
    try:
        signatures = [sign(key, head["id"], timestamp, body) for key in keys]
    except InvalidParameterError:
        body.zero()
        raise
    headers = {
        "Content-Type": "application/json",
        "webhook-id": head["id"],
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signatures),
    }
    return Delivery(headers, body)


def write_body(head: Mapping[str, Any], parts: Mapping[str, Part]) -> SecretValue:
    """Write one JSON object of what is no secret and of credentials."""
    pieces: list[bytes | bytearray] = [json.dumps(head, separators=(",", ":")).encode()[:-1]]
    for name, part in parts.items():
        pieces.append(b"," + json.dumps(name).encode() + b":")
        if isinstance(part, Credential):
            pieces += _credential(part)
            continue
        pieces.append(b"[")
        for place, credential in enumerate(part):
            pieces += [b"," if place else b"", *_credential(credential)]
        pieces.append(b"]")
    pieces.append(b"}")
    return _joined(pieces)


def sign(key: SecretValue, delivery_id: str, timestamp: int, body: SecretValue) -> str:
    """Sign as the Standard Webhooks specification says, with its symmetric scheme v1.

    Raises:
        InvalidParameterError: the key is too short, or no base64 where it says to be.
    """
    used = _key(key)
    digest = hmac.new(used, f"{delivery_id}.{timestamp}.".encode(), hashlib.sha256)
    used[:] = bytes(len(used))
    digest.update(body.reveal())
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


def _credential(credential: Credential) -> list[bytes | bytearray]:
    texts = {name: value for name, value in credential.values.items() if _is_text(value)}
    others = {name: value for name, value in credential.values.items() if name not in texts}
    pieces: list[bytes | bytearray] = [b'{"version":%d' % credential.version]
    pieces += [b',"values":{', *_fields(texts, binary=False), b"}"]
    if others:
        pieces += [b',"binaryValues":{', *_fields(others, binary=True), b"}"]
    return [*pieces, b"}"]


def _fields(values: Mapping[str, SecretValue], *, binary: bool) -> list[bytes | bytearray]:
    pieces: list[bytes | bytearray] = []
    for name, value in values.items():
        comma = b"," if pieces else b""
        plaintext = value.reveal()
        written = (
            bytearray(b2a_base64(plaintext, newline=False))
            if binary
            # A JSON text made byte by byte: one made of a str would leave copies behind.
            else bytearray(b"").join(_ESCAPED[byte] for byte in plaintext)
        )
        pieces += [comma + json.dumps(name).encode() + b':"', written, b'"']
    return pieces


def _is_text(value: SecretValue) -> bool:
    try:
        str(value.reveal(), "utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _joined(pieces: Sequence[bytes | bytearray]) -> SecretValue:
    body = SecretValue(bytearray(b"").join(pieces))
    for piece in pieces:
        if isinstance(piece, bytearray):
            piece[:] = bytes(len(piece))
    return body
