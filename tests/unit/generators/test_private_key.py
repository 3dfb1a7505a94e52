import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from generating import make, refusal
from keyturn.generators import jwk
from keyturn.generators.key_pairs import PublicKey
from keyturn.generators.private_key import PrivateKeyGenerator

PRIVATE_KEY = PrivateKeyGenerator()
ECDSA: dict[str, Any] = {"algorithm": "ECDSA"}
ED25519: dict[str, Any] = {"algorithm": "Ed25519"}
JWK: dict[str, Any] = {"outputs": {"jwk": "jwk.json"}}


def test_it_fills_its_own_key_and_one_for_the_public_key() -> None:
    assert PRIVATE_KEY.outputs("signing.pem", {}) == {
        "privateKey": "signing.pem",
        "publicKey": "signing.pem.pub",
    }


def test_it_fills_keys_for_the_public_forms_that_are_named() -> None:
    outputs = {"publicKey": "public.pem", "jwk": "jwk.json", "jwks": "jwks.json"}

    named = PRIVATE_KEY.outputs("private.pem", {"outputs": outputs})

    assert named == {"privateKey": "private.pem", **outputs}


@pytest.mark.parametrize("parameters", [{}, ECDSA, {**ECDSA, "size": 384}, ED25519])
def test_the_pair_loads_again_and_belongs_together(parameters: dict[str, Any]) -> None:
    made = make(PRIVATE_KEY, **parameters)

    private = load_pem_private_key(made["key"], password=None)
    assert private.public_key() == load_pem_public_key(made["key.pub"])


def test_the_private_key_is_pkcs8_unless_pkcs1_is_asked_for() -> None:
    plain = make(PRIVATE_KEY, **ECDSA)["key"]
    pkcs1 = make(PRIVATE_KEY, encoding="PKCS1", **ECDSA)["key"]

    assert plain.startswith(b"-----BEGIN PRIVATE KEY-----\n")
    assert pkcs1.startswith(b"-----BEGIN EC PRIVATE KEY-----\n")


@pytest.mark.parametrize("parameters", [{}, ECDSA, ED25519])
def test_the_jwk_is_the_public_key_by_its_thumbprint(parameters: dict[str, Any]) -> None:
    made = make(PRIVATE_KEY, **parameters, **JWK)

    public = load_pem_private_key(made["key"], password=None).public_key()
    assert isinstance(public, PublicKey)
    written = json.loads(made["jwk.json"])
    assert written == {**jwk.members(public), "kid": jwk.thumbprint(public)}


@pytest.mark.parametrize("parameters", [{}, ECDSA, ED25519])
def test_nothing_of_the_private_key_is_in_its_public_forms(parameters: dict[str, Any]) -> None:
    outputs = {"jwk": "jwk.json", "jwks": "jwks.json"}

    made = make(PRIVATE_KEY, **parameters, outputs=outputs)

    private = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}
    assert not private & json.loads(made["jwk.json"]).keys()
    assert not private & json.loads(made["jwks.json"])["keys"][0].keys()
    assert b"PRIVATE" not in made["key.pub"]


def test_the_set_holds_the_key() -> None:
    outputs = {"jwk": "jwk.json", "jwks": "jwks.json"}

    made = make(PRIVATE_KEY, **ECDSA, outputs=outputs)

    assert json.loads(made["jwks.json"]) == {"keys": [json.loads(made["jwk.json"])]}


def test_the_jwk_says_what_is_written_in_it() -> None:
    written = {"keyID": "2030-01", "use": "sig", "alg": "ES256"}

    made = json.loads(make(PRIVATE_KEY, **ECDSA, **JWK, jwk=written)["jwk.json"])

    assert (made["kid"], made["use"], made["alg"]) == ("2030-01", "sig", "ES256")


@pytest.mark.parametrize(
    ("parameters", "written"),
    [
        ({}, {"alg": "PS512"}),
        ({}, {"use": "enc", "alg": "RSA-OAEP-256"}),
        ({"algorithm": "ECDSA", "size": 521}, {"alg": "ES512"}),
        (ECDSA, {"use": "enc", "alg": "ECDH-ES"}),
        (ED25519, {"use": "sig", "alg": "EdDSA"}),
    ],
)
def test_an_algorithm_that_fits_the_key_is_taken(
    parameters: dict[str, Any], written: dict[str, Any]
) -> None:
    outputs = PRIVATE_KEY.outputs("key", {**parameters, **JWK, "jwk": written})

    assert outputs["jwk"] == "jwk.json"


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"jwk": {"alg": "ES256"}, **JWK}, "jwk.alg is not one of those known; write RS256, RS384"),
        ({**ECDSA, "jwk": {"alg": "ES384"}, **JWK}, "jwk.alg is not one of those known; write"),
        (
            {**ED25519, "jwk": {"alg": "ES256"}, **JWK},
            "jwk.alg is not one of those known; write Ed",
        ),
        (
            {**ED25519, "jwk": {"use": "enc"}, **JWK},
            "jwk.use cannot be enc with Ed25519; write sig",
        ),
        ({"jwk": {"use": "enc", "alg": "RS256"}, **JWK}, "jwk.alg is not one of those known"),
        ({"jwk": {"use": "sign"}, **JWK}, "jwk.use is not one of those known; write sig or enc"),
        ({"jwk": {"keyID": "a" * 256}, **JWK}, "jwk.keyID must be a text of 1 to 255"),
        ({"jwk": {"kid": "a"}, **JWK}, "jwk.kid is unknown; write one of keyID, use, alg"),
        ({"jwk": {}}, "jwk has no effect by itself; write also outputs.jwk or outputs.jwks"),
        ({"outputs": {"jwk": "key"}}, "outputs.jwk fills the key 'key', as privateKey does"),
        ({"outputs": {"jwk": "j", "jwks": "j"}}, "outputs.jwks fills the key 'j', as jwk does"),
        ({"outputs": {"jwk": ""}}, 'outputs.jwk is "", which is no key of a Secret'),
    ],
)
def test_wrong_parameters_are_refused_with_what_to_write(
    parameters: dict[str, Any], message: str
) -> None:
    assert refusal(PRIVATE_KEY, **parameters).startswith(message)
