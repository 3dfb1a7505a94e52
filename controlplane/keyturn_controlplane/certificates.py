"""The certificate authorities of one control plane, and what they sign."""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from keyturn_controlplane.files import write_private

LIFETIME = timedelta(days=30)
"""Longer than any control plane lives."""

CLOCK_SKEW = timedelta(minutes=5)

NODE_NAME = "keyturn-node"
"""Of a control plane with a node; there is one at most."""

SERVER_NAMES = ("localhost", "kubernetes.default.svc")
SERVER_ADDRESS = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class KeyPair:
    """The files of a certificate and of its private key."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority whose key lives in memory only; it signs, and is forgotten."""

    folder: Path
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    now: datetime
    addresses: tuple[str, ...]

    @classmethod
    def create(
        cls, folder: Path, name: str, now: datetime, addresses: Iterable[str] = (SERVER_ADDRESS,)
    ) -> Self:
        """Make an authority and write its certificate to `folder`/ca.crt.

        Args:
            folder: Where it and what it signs are written.
            name: Its common name.
            now: The time.
            addresses: Where the servers listen for which it signs.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _subject(name)
        certificate = (
            _builder(subject, subject, key.public_key(), now)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(signs_certificates=True), critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .sign(key, hashes.SHA256())
        )
        write_private(folder / "ca.crt", certificate.public_bytes(Encoding.PEM))
        return cls(folder, certificate, key, now, tuple(addresses))

    @property
    def file(self) -> Path:
        return self.folder / "ca.crt"

    def issue(self, file_name: str, common_name: str, organization: str | None = None) -> KeyPair:
        """Sign a certificate that is good as a client and, on loopback, as a server.

        Args:
            file_name: The stem of the two files.
            common_name: The user, as Kubernetes reads it.
            organization: The group, as Kubernetes reads it.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        certificate = (
            _builder(
                _subject(common_name, organization),
                self.certificate.subject,
                key.public_key(),
                self.now,
            )
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(self._server_names(), critical=False)
            .add_extension(identifier, critical=False)
            .sign(self.key, hashes.SHA256())
        )
        return KeyPair(
            write_private(self.folder / f"{file_name}.crt", certificate.public_bytes(Encoding.PEM)),
            write_private(self.folder / f"{file_name}.key", _private_pem(key)),
        )

    def _server_names(self) -> x509.SubjectAlternativeName:
        names = (x509.DNSName(name) for name in SERVER_NAMES)
        parsed = (ipaddress.ip_address(address) for address in dict.fromkeys(self.addresses))
        return x509.SubjectAlternativeName([*names, *(x509.IPAddress(each) for each in parsed)])


@dataclass(frozen=True, slots=True)
class Credentials:
    """Every certificate and key that a control plane needs.

    etcd has an authority of its own: who may talk to the apiserver may not therefore talk to etcd.
    """

    etcd_ca: Path
    etcd: KeyPair
    ca: Path
    apiserver: KeyPair
    admin: KeyPair
    controller_manager: KeyPair
    scheduler: KeyPair
    kubelet: KeyPair
    kubelet_client: KeyPair
    service_account: KeyPair

    @classmethod
    def create(cls, folder: Path, now: datetime, address: str = SERVER_ADDRESS) -> Self:
        """Make all of them anew under `folder`; a service account key that is there is kept.

        Args:
            folder: Where they are written.
            now: The time.
            address: Where the apiserver and the kubelet listen.
        """
        etcd = Authority.create(folder / "etcd", "keyturn-etcd-ca", now)
        cluster = Authority.create(
            folder / "kubernetes", "keyturn-kubernetes-ca", now, (SERVER_ADDRESS, address)
        )
        return cls(
            etcd_ca=etcd.file,
            etcd=etcd.issue("etcd", "etcd"),
            ca=cluster.file,
            apiserver=cluster.issue("apiserver", "kube-apiserver"),
            admin=cluster.issue("admin", "keyturn-admin", "system:masters"),
            controller_manager=cluster.issue(
                "controller-manager", "system:kube-controller-manager"
            ),
            scheduler=cluster.issue("scheduler", "system:kube-scheduler"),
            kubelet=cluster.issue("kubelet", f"system:node:{NODE_NAME}", "system:nodes"),
            # By it the apiserver reaches the kubelet, which asks back what it may.
            kubelet_client=cluster.issue(
                "kubelet-client", "kube-apiserver-kubelet-client", "system:masters"
            ),
            service_account=_service_account_key(folder / "kubernetes"),
        )


def _service_account_key(folder: Path) -> KeyPair:
    pair = KeyPair(folder / "service-account.pub", folder / "service-account.key")
    if not pair.key.exists():
        key = ec.generate_private_key(ec.SECP256R1())
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        write_private(pair.certificate, public)
        write_private(pair.key, _private_pem(key))
    return pair


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _subject(common_name: str, organization: str | None = None) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    if organization is not None:
        attributes.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    return x509.Name(attributes)


def _builder(
    subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey, now: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + LIFETIME)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
