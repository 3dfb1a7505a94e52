"""The signatures of MariaDB's authentication plugin `ed25519`, by the arithmetic of RFC 8032.

MariaDB makes the key pair from a password of any length: where Ed25519 hashes its seed of 32 bytes,
MariaDB hashes the password. So for a password of 32 bytes it is Ed25519 itself, and for others no
library that wants a seed can do it. Only a login to MariaDB uses this, a few times in a rotation;
each multiplication does the same steps whatever the number, but Python's integers do not take the
same time for all numbers.
"""

import hashlib

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, P - 2, P) % P
_BASE_Y = 4 * pow(5, P - 2, P) % P
_BASE_X = 15112221349535400772501151409588531511454012693041857206046113283949847762202

Point = tuple[int, int, int, int]
"""Extended homogeneous coordinates (X, Y, Z, T): x = X/Z, y = Y/Z, x·y = T/Z."""

_NEUTRAL: Point = (0, 1, 1, 0)
_BASE: Point = (_BASE_X, _BASE_Y, 1, _BASE_X * _BASE_Y % P)
_SCALAR_BITS = 256


def public_key(password: bytes) -> bytes:
    """Return the 32 bytes by which the server knows the password."""
    scalar, _ = _secret(password)
    return _encoded(_times_base(scalar))


def sign(password: bytes, message: bytes) -> bytes:
    """Return the 64 bytes that prove the password for the server's `message`."""
    scalar, prefix = _secret(password)
    key = _encoded(_times_base(scalar))
    nonce = _number(prefix + message) % ORDER
    commitment = _encoded(_times_base(nonce))
    challenge = _number(commitment + key + message) % ORDER
    answer = (nonce + challenge * scalar) % ORDER
    return commitment + answer.to_bytes(32, "little")


def _secret(password: bytes) -> tuple[int, bytes]:
    digest = hashlib.sha512(password).digest()
    scalar = int.from_bytes(digest[:32], "little")
    return scalar & ((1 << 254) - 8) | (1 << 254), digest[32:]


def _number(content: bytes) -> int:
    return int.from_bytes(hashlib.sha512(content).digest(), "little")


def _add(one: Point, two: Point) -> Point:
    a = (one[1] - one[0]) * (two[1] - two[0]) % P
    b = (one[1] + one[0]) * (two[1] + two[0]) % P
    c = 2 * one[3] * two[3] * _D % P
    d = 2 * one[2] * two[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def _times_base(scalar: int) -> Point:
    # A Montgomery ladder: both branches do one addition and one doubling.
    low, high = _NEUTRAL, _BASE
    for bit in reversed(range(_SCALAR_BITS)):
        if scalar >> bit & 1:
            low, high = _add(low, high), _add(high, high)
        else:
            low, high = _add(low, low), _add(low, high)
    return low


def _encoded(point: Point) -> bytes:
    inverse = pow(point[2], P - 2, P)
    x, y = point[0] * inverse % P, point[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")
