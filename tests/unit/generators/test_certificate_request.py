from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import PrivateFormat

from keyturn.domain.errors import InvalidParameterError
from keyturn.generators.certificate_request import CertificateRequest, ca_secret_of
from keyturn.generators.key_pairs import KeyKind, KeySpec


def read(**written: Any) -> CertificateRequest:
    return CertificateRequest.read("tls.key", {"commonName": "orders", **written})


def test_a_name_is_enough() -> None:
    request = read()

    assert request.key_spec == KeySpec(KeyKind("RSA", 2048), PrivateFormat.PKCS8)
    assert (request.is_ca, request.duration, request.ca_secret) == (False, None, "")
    assert request.outputs == {
        "privateKey": "tls.key",
        "certificate": "tls.crt",
        "ca": "ca.crt",
    }


def test_the_keys_of_the_other_outputs_can_be_chosen() -> None:
    outputs = {"certificate": "server.pem", "ca": "root.pem"}

    assert read(outputs=outputs).outputs == {"privateKey": "tls.key", **outputs}


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("1h", timedelta(hours=1)),
        ("2160h", timedelta(days=90)),
        ("3650d", timedelta(days=3650)),
        ("1d12h30m", timedelta(days=1, hours=12, minutes=30)),
    ],
)
def test_a_duration_is_from_an_hour_to_ten_years(text: str, duration: timedelta) -> None:
    assert read(duration=text).duration == duration


@pytest.mark.parametrize("text", ["59m", "3650d1s", "3651d", "0"])
def test_a_duration_out_of_bounds_is_refused(text: str) -> None:
    with pytest.raises(InvalidParameterError) as caught:
        read(duration=text)

    assert str(caught.value) == (
        "duration must be from 1h to 3650d; write for example duration: 90d"
    )


@pytest.mark.parametrize("text", ["90", "3 months", "", "-90d"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(InvalidParameterError, match=r"^duration is no duration; write for example"):
        read(duration=text)


def test_the_secret_of_the_authority_is_named() -> None:
    written = {"commonName": "orders", "caSecretRef": {"name": "shop-ca"}}

    assert read(**written).ca_secret == ca_secret_of(written) == "shop-ca"
    assert ca_secret_of({"commonName": "orders"}) == ""


def test_the_key_is_of_the_kind_that_is_asked_for() -> None:
    request = read(privateKey={"algorithm": "ECDSA", "size": 384, "encoding": "PKCS1"})

    assert request.key_spec == KeySpec(KeyKind("ECDSA", 384), PrivateFormat.TraditionalOpenSSL)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({"san": ["a"]}, "san is unknown; write one of commonName, dnsNames, "),
        ({"isCA": "yes"}, "isCA must be a boolean"),
        (
            {"isCA": True, "commonName": None, "dnsNames": ["a"]},
            "commonName is missing; an authority needs one, as others name it by that",
        ),
        ({"caSecretRef": {}}, "caSecretRef.name is missing; write the name of a Secret of this"),
        ({"caSecretRef": "shop-ca"}, "caSecretRef must be an object"),
        ({"caSecretRef": {"name": "a", "namespace": "b"}}, "caSecretRef.namespace is unknown"),
        ({"privateKey": {"algorithm": "DSA"}}, "privateKey.algorithm is not one of those known"),
        ({"privateKey": {"size": 1024}}, "privateKey.size must be a whole number from 2048"),
        ({"privateKey": {"kind": "RSA"}}, "privateKey.kind is unknown; write one of algorithm"),
        ({"outputs": {"certificate": "tls.key"}}, "outputs.certificate fills the key 'tls.key'"),
        ({"outputs": {"ca": "tls.crt"}}, "outputs.ca fills the key 'tls.crt', as certificate does"),
    ],
)
def test_wrong_parameters_are_refused_with_what_to_write(
    written: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidParameterError) as caught:
        read(**written)

    assert str(caught.value).startswith(message)
