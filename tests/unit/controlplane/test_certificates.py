"""Certificates are what TLS and Kubernetes ask for, and their keys are private."""

import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature

from keyturn_controlplane.certificates import Authority, Credentials

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def load(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


@pytest.fixture
def credentials(tmp_path: Path) -> Credentials:
    return Credentials.create(tmp_path, NOW)


def test_the_authority_vouches_for_the_apiserver(credentials: Credentials) -> None:
    load(credentials.apiserver.certificate).verify_directly_issued_by(load(credentials.ca))


def test_a_certificate_of_the_cluster_does_not_open_etcd(credentials: Credentials) -> None:
    administrator = load(credentials.admin.certificate)

    with pytest.raises((InvalidSignature, ValueError)):
        administrator.verify_directly_issued_by(load(credentials.etcd_ca))


def test_the_administrator_is_in_the_group_that_may_do_all(credentials: Credentials) -> None:
    subject = load(credentials.admin.certificate).subject.rfc4514_string()

    assert subject == "O=system:masters,CN=keyturn-admin"


def test_nobody_but_the_owner_may_read_a_file(credentials: Credentials, tmp_path: Path) -> None:
    files = [path for path in tmp_path.rglob("*") if path.is_file()]

    modes = {stat.S_IMODE(path.stat().st_mode) for path in files}

    assert modes == {0o600}


def test_the_key_of_the_authority_is_never_written(tmp_path: Path) -> None:
    Authority.create(tmp_path, "an authority", NOW)

    assert [path.name for path in tmp_path.iterdir()] == ["ca.crt"]


def test_service_account_tokens_outlive_a_restart_on_kept_data(tmp_path: Path) -> None:
    before = Credentials.create(tmp_path, NOW).service_account.key.read_bytes()

    after = Credentials.create(tmp_path, NOW).service_account.key.read_bytes()

    assert before == after


def test_a_certificate_is_valid_now_even_if_clocks_differ(credentials: Credentials) -> None:
    certificate = load(credentials.apiserver.certificate)

    assert certificate.not_valid_before_utc < NOW < certificate.not_valid_after_utc
