import hmac
import traceback

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from keyturn.crypto import _aead
from keyturn.domain.errors import TamperedError

KEY, NONCE = bytes(range(32)), bytes(range(12))


def test_decrypts_what_it_encrypted() -> None:
    box = _aead.encrypt(KEY, NONCE, b"plaintext", b"associated")

    assert _aead.decrypt(KEY, NONCE, box, b"associated") == b"plaintext"


def test_is_aes_256_gcm_as_everybody_knows_it() -> None:
    # Test case 14 of the GCM specification (McGrew and Viega).
    box = _aead.encrypt(bytes(32), bytes(12), bytes(16), b"")

    assert box.hex() == "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919"


def test_derives_by_hkdf_sha256_as_everybody_knows_it() -> None:
    # Test case 1 of RFC 5869.
    derived = _aead.derive(b"\x0b" * 22, bytes(range(0xF0, 0xFA)), salt=bytes(range(13)), size=42)

    assert derived.hex() == (
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
    )


def test_encrypts_many_messages_each_under_a_key_of_its_own() -> None:
    box = _aead.encrypt_derived(KEY, b"plaintext", b"associated")
    salt, rest = box[:32], box[32:]

    root = hmac.digest(salt, KEY, "sha256")
    first = hmac.digest(root, b"keyturn one message v1\x01", "sha256")
    second = hmac.digest(root, first + b"keyturn one message v1\x02", "sha256")

    assert AESGCM(first).decrypt(second[:12], rest, b"associated") == b"plaintext"


@pytest.mark.parametrize("size", [0, 16, 24, 31, 33])
def test_takes_no_key_of_another_size(size: int) -> None:
    with pytest.raises(TamperedError, match="size"):
        _aead.decrypt(bytes(size), NONCE, bytes(32), b"")
    with pytest.raises(TamperedError, match="size"):
        _aead.encrypt(bytes(size), NONCE, b"plaintext", b"")


@pytest.mark.parametrize("size", [0, 8, 11, 13, 16])
def test_takes_no_nonce_of_another_size(size: int) -> None:
    with pytest.raises(TamperedError, match="size"):
        _aead.decrypt(KEY, bytes(size), bytes(32), b"")


def test_takes_no_shortened_tag() -> None:
    box = _aead.encrypt(KEY, NONCE, b"", b"associated")

    for end in range(len(box)):
        with pytest.raises(TamperedError):
            _aead.decrypt(KEY, NONCE, box[:end], b"associated")


def test_a_refusal_shows_nothing_of_what_was_decrypted() -> None:
    box = bytearray(_aead.encrypt(KEY, NONCE, b"plaintext", b"associated"))
    box[-1] ^= 1

    with pytest.raises(TamperedError) as caught:
        _aead.decrypt(KEY, NONCE, box, b"associated")

    innermost = [frame for frame, _ in traceback.walk_tb(caught.tb)][-1]
    assert caught.value.__cause__ is None
    assert innermost.f_locals["plaintext"] == bytes(len(b"plaintext"))


def test_zero_overwrites_a_buffer_in_place() -> None:
    buffer = bytearray(b"plaintext")
    with memoryview(buffer) as view:
        _aead.zero(buffer)

        assert bytes(view) == bytes(9)
