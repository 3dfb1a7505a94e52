import base64
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_ssh_private_key,
    load_ssh_public_key,
)

from generating import make, refusal
from keyturn.generators.ssh_key import SSHKeyGenerator

SSH_KEY = SSHKeyGenerator()


def test_it_fills_its_own_key_and_one_for_the_public_key() -> None:
    assert SSH_KEY.outputs("id_ed25519", {}) == {
        "privateKey": "id_ed25519",
        "publicKey": "id_ed25519.pub",
    }


def test_the_key_of_the_public_key_can_be_chosen() -> None:
    outputs = {"publicKey": "ssh-publickey"}

    made = make(SSH_KEY, "ssh-privatekey", outputs=outputs)

    assert made.keys() == {"ssh-privatekey", "ssh-publickey"}


@pytest.mark.parametrize(
    ("parameters", "kind", "size", "name"),
    [
        ({}, ed25519.Ed25519PrivateKey, 0, "ssh-ed25519"),
        ({"keyType": "rsa"}, rsa.RSAPrivateKey, 3072, "ssh-rsa"),
        ({"keyType": "rsa", "keySize": 2048}, rsa.RSAPrivateKey, 2048, "ssh-rsa"),
        ({"keyType": "ecdsa"}, ec.EllipticCurvePrivateKey, 256, "ecdsa-sha2-nistp256"),
        (
            {"keyType": "ecdsa", "keySize": 384},
            ec.EllipticCurvePrivateKey,
            384,
            "ecdsa-sha2-nistp384",
        ),
        (
            {"keyType": "ecdsa", "keySize": 521},
            ec.EllipticCurvePrivateKey,
            521,
            "ecdsa-sha2-nistp521",
        ),
    ],
)
def test_the_pair_loads_again_and_belongs_together(
    parameters: dict[str, Any], kind: type, size: int, name: str
) -> None:
    made = make(SSH_KEY, **parameters)

    private = load_ssh_private_key(made["key"], password=None)
    public = load_ssh_public_key(made["key.pub"])
    assert isinstance(private, kind)
    assert getattr(private, "key_size", 0) == size
    assert made["key.pub"].split()[0] == name.encode()
    encoded = private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    assert public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH) == encoded


def test_the_private_key_is_in_openssh_format_and_ends_with_a_newline() -> None:
    private = make(SSH_KEY)["key"]

    assert private.startswith(b"-----BEGIN OPENSSH PRIVATE KEY-----\n")
    assert private.endswith(b"-----END OPENSSH PRIVATE KEY-----\n")


def test_the_comment_ends_the_line_of_the_public_key() -> None:
    line = make(SSH_KEY, comment="deploy @ orders")["key.pub"].decode()

    assert line.split(" ", 2)[2] == "deploy @ orders"
    assert "\n" not in line


def test_without_a_comment_the_line_ends_with_the_key() -> None:
    name, key = make(SSH_KEY)["key.pub"].decode().split(" ")

    assert name == "ssh-ed25519"
    assert base64.b64decode(key, validate=True)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"keyType": "dsa"}, "keyType is not one of those known; write ed25519, rsa or ecdsa"),
        ({"keySize": 256}, "keySize has no meaning with Ed25519; leave it out"),
        ({"keyType": "rsa", "keySize": 2047}, "keySize must be a whole number from 2048 to 8192"),
        ({"keyType": "rsa", "keySize": 8193}, "keySize must be a whole number from 2048 to 8192"),
        ({"keyType": "ecdsa", "keySize": 512}, "keySize is no size of ECDSA; write 256, 384 or"),
        ({"comment": "a" * 256}, "comment must be a text of at most 255 printable characters"),
        ({"comment": "two\nlines"}, "comment must be a text"),
        ({"outputs": {"publicKey": "key"}}, "outputs.publicKey fills the key 'key', as"),
        ({"outputs": {"publicKey": "a/b"}}, 'outputs.publicKey is "a/b", which is no key'),
        ({"outputs": {"privateKey": "a"}}, "outputs.privateKey is unknown; write one of publicKey"),
    ],
)
def test_wrong_parameters_are_refused_with_what_to_write(
    parameters: dict[str, Any], message: str
) -> None:
    assert refusal(SSH_KEY, **parameters).startswith(message)
