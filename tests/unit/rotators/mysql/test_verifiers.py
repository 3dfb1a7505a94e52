"""Verifiers are what the servers themselves would write."""

import base64
import subprocess

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from keyturn.domain.errors import TargetRefusedError
from keyturn.domain.payload import SecretValue
from keyturn.rotators.mysql import ed25519
from keyturn.rotators.mysql.verifiers import (
    caching_sha2,
    native,
    sha256_crypt,
    signature_key,
    verifier,
)


def test_the_native_one_is_what_the_server_makes_of_a_known_password() -> None:
    # SELECT PASSWORD('pw') of MariaDB 10.11.
    assert native(b"pw") == b"*D821809F681A40A6E379B50D0463EFAE20BDD122"


def test_the_key_of_a_signature_is_what_the_server_makes_of_a_known_password() -> None:
    # CREATE USER … IDENTIFIED VIA ed25519 USING PASSWORD('x') of MariaDB 10.11.
    assert signature_key(b"x") == b"Gv2JI8Env2fd5YGonZ082tX3UAW+yJYldOlj4R1bfK4"


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=64))
def test_a_password_of_32_bytes_is_a_seed_of_ed25519(password: bytes, message: bytes) -> None:
    key = Ed25519PrivateKey.from_private_bytes(password)

    assert ed25519.public_key(password) == key.public_key().public_bytes_raw()
    assert ed25519.sign(password, message) == key.sign(message)


def test_the_one_of_mysql_is_what_mysql_wrote_for_a_known_password() -> None:
    # The example of hashcat's mode 7401, which was taken from a server's mysql.user.
    salt = bytes.fromhex("F9CC98CE08892924F50A213B6BC571A2C11778C5")
    written = bytes.fromhex(
        "625479393559393965414D45316477456B484F41316E64484742577A2E3162785353526B7554584647562F"
    )

    assert caching_sha2(b"hashcat", salt) == b"$A$005$" + salt + written


def test_the_one_of_mysql_fits_into_a_statement_and_its_column() -> None:
    made = {caching_sha2(b"secret") for _ in range(20)}

    assert len(made) == 20
    for one in made:
        assert len(one) == 70
        assert one.isascii()
        assert one.decode().isprintable()
        assert one.count(b"$") == 3
        assert b"'" not in one


@pytest.mark.parametrize("length", [1, 15, 16, 31, 32, 33, 63, 64, 65, 200])
def test_the_crypt_is_that_of_openssl(length: int) -> None:
    password, salt = ("päss" * length)[:length], "./azAZ09abcdefgh"
    answer = subprocess.run(
        ["openssl", "passwd", "-5", "-salt", salt, "-stdin"],
        input=password.encode(),
        capture_output=True,
        check=True,
    )

    assert (
        sha256_crypt(password.encode(), salt.encode(), 5000)
        == (answer.stdout.strip().rpartition(b"$")[2])
    )


def test_a_plugin_that_is_not_known_is_refused_by_name() -> None:
    with pytest.raises(TargetRefusedError, match="parsec"):
        verifier("parsec", SecretValue(b"x"))


@pytest.mark.parametrize("password", [b"", b"\0", b"a\0b"])
def test_what_the_server_would_cut_is_refused(password: bytes) -> None:
    with pytest.raises(TargetRefusedError):
        verifier("mysql_native_password", SecretValue(password))


def test_the_key_has_no_padding() -> None:
    for password in (b"a", b"bb", b"ccc"):
        assert len(base64.b64decode(signature_key(password) + b"=")) == 32
