"""What is sent for a step: the JSON with the values in one buffer, and its signature.

The contract is docs/rotators-webhook.md with docs/webhook-rotator.openapi.yaml.
"""

import json
from binascii import b2a_base64
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from keyturn.domain.errors import InvalidParameterError
from keyturn.domain.payload import SecretValue
from keyturn.domain.webhook_signature import signed_headers
from keyturn.rotators.interface import Credential

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
        signed = signed_headers(keys, head["id"], timestamp, body.reveal())
    except InvalidParameterError:
        body.zero()
        raise
    return Delivery({"Content-Type": "application/json", **signed}, body)


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
