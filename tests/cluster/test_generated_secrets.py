"""What generators make, as pods see it: projected Secrets, and certificates of authorities."""

import base64
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import bcrypt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    load_pem_private_key,
    load_pem_public_key,
    load_ssh_private_key,
    load_ssh_public_key,
)
from cryptography.x509.verification import PolicyBuilder, Store

from canary import Canary
from cluster.operating import Cluster, OperatorProcess, Values

ECDSA = {"algorithm": "ECDSA"}
PASSWORD = {"key": "password", "generate": {"password": {"length": 24, "symbols": 0}}}


@pytest.fixture(autouse=True)
def operator(shared_operator: OperatorProcess) -> OperatorProcess:
    return shared_operator


def generated(key: str, **generate: Any) -> dict[str, Any]:
    return {"data": [{"key": key, "generate": generate}]}


def an_authority(**parameters: Any) -> dict[str, Any]:
    tls = {"commonName": "Shop CA", "isCA": True, "privateKey": ECDSA, **parameters}
    return generated("tls.key", tls=tls)


def a_server(authority: str = "ca", **parameters: Any) -> dict[str, Any]:
    by = {"caSecretRef": {"name": authority}, "privateKey": ECDSA}
    return generated("tls.key", tls={"dnsNames": ["orders.shop.svc"], **by, **parameters})


def chain_of(values: Values) -> list[str]:
    """Verify as a client would that trusts the projected root; return the subjects."""
    trusted = Store(x509.load_pem_x509_certificates(values["ca.crt"]))
    leaf, *others = x509.load_pem_x509_certificates(values["tls.crt"])
    assert load_pem_private_key(values["tls.key"], None).public_key() == leaf.public_key()
    verifier = PolicyBuilder().store(trusted).time(datetime.now(UTC))
    chain = verifier.build_server_verifier(x509.DNSName("orders.shop.svc")).verify(leaf, others)
    return [each.subject.rfc4514_string() for each in chain]


# Each generator


def is_password(made: Values) -> bool:
    return len(made["k"]) == 20 and made["k"].isalnum()


def is_passphrase(made: Values) -> bool:
    return re.fullmatch(rb"[A-Z][a-z]+( [A-Z][a-z]+){3}", made["k"]) is not None


def is_hex(made: Values) -> bool:
    return len(bytes.fromhex(made["k"].decode())) == 16


def is_base64(made: Values) -> bool:
    return len(base64.urlsafe_b64decode(made["k"] + b"=")) == 32


def is_uuid(made: Values) -> bool:
    return UUID(made["k"].decode()).version == 4


def is_ssh_key(made: Values) -> bool:
    private = load_ssh_private_key(made["k"], password=None)
    return load_ssh_public_key(made["id.pub"]) == private.public_key()


def is_certificate(made: Values) -> bool:
    certificate = x509.load_pem_x509_certificate(made["tls.crt"])
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(made["ca.crt"]))
    return load_pem_private_key(made["k"], None).public_key() == certificate.public_key()


def is_key_pair(made: Values) -> bool:
    (jwk,) = json.loads(made["jwks.json"])["keys"]
    private = load_pem_private_key(made["k"], password=None)
    is_pair = load_pem_public_key(made["public.pem"]) == private.public_key()
    return is_pair and jwk == json.loads(made["jwk.json"]) and "d" not in jwk


def is_htpasswd(made: Values) -> bool:
    user, hashed = made["k"].split(b":", 1)
    return user == b"admin" and bcrypt.checkpw(made["pass"], hashed)


KEY_PAIR = {**ECDSA, "outputs": {"publicKey": "public.pem", "jwk": "jwk.json", "jwks": "jwks.json"}}
GENERATED = {
    "password": ({"password": {"length": 20, "symbols": 0}}, is_password),
    "passphrase": (
        {"passphrase": {"words": 4, "separator": " ", "capitalize": True}},
        is_passphrase,
    ),
    "hex": ({"hex": {"bytes": 16}}, is_hex),
    "base64": ({"base64": {"urlSafe": True, "noPadding": True}}, is_base64),
    "uuid": ({"uuid": {}}, is_uuid),
    "sshKey": ({"sshKey": {"outputs": {"publicKey": "id.pub"}}}, is_ssh_key),
    "tls": ({"tls": {"dnsNames": ["orders"]}}, is_certificate),
    "privateKey": ({"privateKey": KEY_PAIR}, is_key_pair),
    "htpasswd": ({"htpasswd": {"username": "admin", "outputs": {"password": "pass"}}}, is_htpasswd),
}


@pytest.mark.parametrize(("generate", "is_right"), GENERATED.values(), ids=GENERATED.keys())
def test_a_generated_value_is_projected(
    cluster: Cluster,
    values: Callable[[str], Values],
    generate: dict[str, Any],
    is_right: Callable[[Values], bool],
) -> None:
    cluster.apply("app", generated("k", **generate))

    assert is_right(values("app"))


def test_a_new_key_leaves_what_was_generated_as_it_is(
    cluster: Cluster, values: Callable[[str], Values]
) -> None:
    data = [{"key": name, "generate": generate} for name, (generate, _) in GENERATED.items()]
    cluster.apply("app", {"data": data})
    before = values("app")

    cluster.apply("app", {"data": [*data, {"key": "more", "generate": {"uuid": {}}}]})

    after = values("app")
    assert after.keys() - before.keys() == {"more"}
    assert {key: after[key] for key in before} == before


def test_a_line_of_htpasswd_follows_the_password_of_another_key(
    cluster: Cluster, values: Callable[[str], Values]
) -> None:
    line = {"key": "auth", "generate": {"htpasswd": {"username": "a", "passwordKey": "password"}}}
    cluster.apply("app", {"data": [line, PASSWORD]})
    before = values("app")
    assert bcrypt.checkpw(before["password"], before["auth"][2:])

    longer = {"key": "password", "generate": {"password": {"length": 40, "symbols": 0}}}
    cluster.apply("app", {"data": [line, longer]})

    after = values("app")
    assert bcrypt.checkpw(after["password"], after["auth"][2:])
    assert len(after["password"]) == 40


def test_a_password_that_bcrypt_cannot_read_whole_is_told_without_the_password(
    cluster: Cluster, operator: OperatorProcess, canary: Canary
) -> None:
    line = {"key": "auth", "generate": {"htpasswd": {"username": "a", "passwordKey": "password"}}}
    cluster.apply("app", {"data": [line, {"key": "password", "input": {}}]})
    cluster.wait_reason("app", "AwaitingInput")

    put = operator.keyturn(
        *("put", "app", "-n", cluster.namespace, "--key", "password"),
        stdin=canary.make(73),
        check=False,
    )

    assert put.returncode != 0
    assert b"bcrypt takes 1 to 72" in put.stderr
    assert canary.scan_bytes(put.stdout + put.stderr) == []
    assert cluster.data("app") is None


# Authorities


def test_an_authority_signs_the_certificate_of_a_server(
    cluster: Cluster, values: Callable[[str], Values]
) -> None:
    cluster.apply("ca", an_authority())
    authority = values("ca")

    cluster.apply("app", a_server())

    server = values("app")
    assert chain_of(server) == ["", "CN=Shop CA"]
    assert server["ca.crt"] == authority["tls.crt"]


def test_a_certificate_waits_for_its_authority(
    cluster: Cluster, values: Callable[[str], Values]
) -> None:
    cluster.apply("app", a_server())
    condition = cluster.wait_reason("app", "SourceNotFound")
    assert "'ca'" in condition["message"]

    cluster.apply("ca", an_authority())

    assert chain_of(values("app")) == ["", "CN=Shop CA"]


def test_an_authority_below_another_is_served_beside_the_certificate(
    cluster: Cluster, values: Callable[[str], Values]
) -> None:
    cluster.apply("ca", an_authority(commonName="Root"))
    root = values("ca")
    by_root = {"caSecretRef": {"name": "ca"}}
    cluster.apply("below", an_authority(commonName="Below", **by_root))
    values("below")

    cluster.apply("app", a_server("below"))

    server = values("app")
    assert chain_of(server) == ["", "CN=Below", "CN=Root"]
    assert server["ca.crt"] == root["tls.crt"]


def test_a_certificate_stays_when_its_authority_changes_until_it_changes_itself(
    cluster: Cluster, values: Callable[[str], Values]
) -> None:
    cluster.apply("ca", an_authority())
    old = values("ca")
    cluster.apply("app", a_server())
    before = values("app")

    cluster.apply("ca", an_authority(duration="365d"))
    new = values("ca")
    assert new["tls.crt"] != old["tls.crt"]
    assert values("app") == before
    cluster.apply("app", a_server(duration="30d"))

    after = values("app")
    assert chain_of(after) == ["", "CN=Shop CA"]
    assert after["ca.crt"] == new["tls.crt"]


def test_what_is_no_authority_signs_nothing(
    cluster: Cluster, values: Callable[[str], Values]
) -> None:
    cluster.apply("ca", generated("tls.key", tls={"commonName": "orders", "privateKey": ECDSA}))
    values("ca")

    cluster.apply("app", a_server())

    condition = cluster.wait_reason("app", "InvalidParameter")
    assert "whose tls.crt is not that of an authority" in condition["message"]
    assert cluster.data("app") is None
