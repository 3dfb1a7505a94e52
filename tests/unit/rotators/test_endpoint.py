"""Where a server listens, and whose certificates are trusted there."""

import ssl
from pathlib import Path

import pytest

from keyturn.domain.errors import InvalidParameterError
from keyturn.rotators.endpoint import Endpoint, trust
from keyturn.rotators.parameters import Parameters
from servers.certificates import Authority


def read(**written: object) -> Endpoint:
    return Endpoint.read(Parameters(written, "host", "port", "tls"), port=6379)


def test_tls_and_the_port_have_defaults() -> None:
    endpoint = read(host="db.shop.svc")

    assert (endpoint.port, endpoint.tls, str(endpoint)) == (6379, True, "db.shop.svc:6379")
    assert not read(host="::1", tls={"mode": "disable"}).tls


@pytest.mark.parametrize("host", ["", "-db", "a/b", "user@db", "db;x", "redis://db", "a b", 7])
def test_what_is_no_host_is_refused(host: object) -> None:
    with pytest.raises(InvalidParameterError, match="host"):
        read(host=host)


def test_an_authority_is_the_only_one_that_is_trusted(tmp_path: Path) -> None:
    context = trust(Authority.create(tmp_path).pem)

    (trusted,) = context.get_ca_certs()
    assert "Keyturn tests ca" in str(trusted["subject"])
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


def test_without_an_authority_those_of_the_system_are_trusted() -> None:
    assert trust(b"").check_hostname


@pytest.mark.parametrize("authority", [b"no PEM", b"\xff", b"-----BEGIN CERTIFICATE-----\nx"])
def test_certificates_that_cannot_be_read_are_refused(authority: bytes) -> None:
    with pytest.raises(InvalidParameterError, match="PEM"):
        trust(authority)
