"""The authority that signs a certificate, read from a native Secret and checked."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from keyturn.domain.errors import InvalidParameterError, SourceNotFoundError
from keyturn.domain.payload import SecretValue
from keyturn.generators.key_pairs import PrivateKey

CERTIFICATE, PRIVATE_KEY, ROOT = "tls.crt", "tls.key", "ca.crt"


@dataclass(frozen=True, slots=True)
class CertificateAuthority:
    """An authority: its private key, and its certificate, then those of whoever signed it."""

    secret_name: str
    key: PrivateKey
    chain: tuple[x509.Certificate, ...]
    root_pem: bytes

    @classmethod
    def read(cls, secret_name: str, secrets: Mapping[str, Mapping[str, SecretValue]]) -> Self:
        """Read the native Secret of that name.

        Raises:
            SourceNotFoundError: there is no such Secret, or it lacks `tls.crt` or `tls.key`.
            InvalidParameterError: what it holds is no authority.
        """
        if secret_name not in secrets:
            raise SourceNotFoundError(
                f"caSecretRef names the Secret {secret_name!r}, which is not there; create it, for "
                "example by a ManagedSecret with generate.tls and isCA: true"
            )
        values = secrets[secret_name]
        for needed in (CERTIFICATE, PRIVATE_KEY):
            if needed not in values:
                raise SourceNotFoundError(
                    f"caSecretRef names the Secret {secret_name!r}, which has no key {needed!r}; "
                    f"it needs {CERTIFICATE} and {PRIVATE_KEY}"
                )
        chain = _load_chain(secret_name, values[CERTIFICATE])
        key = _load_key(secret_name, values[PRIVATE_KEY])
        authority = cls(secret_name, key, chain, _root_pem(secret_name, chain, values.get(ROOT)))
        authority._check_role()
        return authority

    @property
    def certificate(self) -> x509.Certificate:
        return self.chain[0]

    @property
    def intermediates(self) -> tuple[x509.Certificate, ...]:
        """The certificates that a server sends besides its own: all but self-signed ones."""
        return tuple(each for each in self.chain if each.issuer != each.subject)

    @property
    def not_after(self) -> datetime:
        """When the first certificate of the chain ends: from then on it proves nothing."""
        return min(each.not_valid_after_utc for each in self.chain)

    @property
    def not_before(self) -> datetime:
        return max(each.not_valid_before_utc for each in self.chain)

    def check_validity(self, now: datetime) -> None:
        """Refuse an authority that is not valid now.

        Raises:
            InvalidParameterError: it is expired, or not valid yet.
        """
        if self.not_after <= now:
            raise _refusal(
                self.secret_name,
                f"whose certificate expired at {self.not_after.isoformat()}; renew it",
            )
        if self.not_before > now:
            raise _refusal(
                self.secret_name,
                f"whose certificate is valid only from {self.not_before.isoformat()}; "
                "wait until then, or check the clock of whoever made it",
            )

    def check_may_sign_authorities(self) -> None:
        """Refuse an authority that may sign no other authorities.

        Raises:
            InvalidParameterError: its path length is 0.
        """
        constraints = self.certificate.extensions.get_extension_for_class(x509.BasicConstraints)
        if constraints.value.path_length == 0:
            raise _refusal(
                self.secret_name,
                "which may sign no other authority (its path length is 0); remove isCA, or name "
                "another authority",
            )

    def _check_role(self) -> None:
        certificate = self.certificate
        if _spki(certificate.public_key()) != _spki(self.key.public_key()):
            raise _refusal(
                self.secret_name,
                f"whose {PRIVATE_KEY} is not the key of its {CERTIFICATE}; put a pair there",
            )
        if not _is_authority(certificate):
            raise _refusal(
                self.secret_name,
                f"whose {CERTIFICATE} is not that of an authority, which may sign others; make it "
                "with isCA: true",
            )
        if not certificate.subject.rdns:
            raise _refusal(
                self.secret_name,
                "whose certificate has no subject, so that none can name it as its issuer; make "
                "it with a commonName",
            )


def _spki(key: object) -> bytes | None:
    """Return a form in which public keys can be compared; None for a kind that cannot sign."""
    if isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey):
        return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return None


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        extensions = certificate.extensions
        constraints = extensions.get_extension_for_class(x509.BasicConstraints).value
    except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension):
        return False
    try:
        may_sign = extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    except x509.ExtensionNotFound:
        # RFC 5280, 4.2.1.3: without the extension every usage is allowed.
        may_sign = True
    return constraints.ca and may_sign


def _root_pem(
    secret_name: str, chain: tuple[x509.Certificate, ...], root: SecretValue | None
) -> bytes:
    """Write the roots anew: what else stands beside them, such as a key, goes no further."""
    roots = (
        _load_chain(secret_name, root, key=ROOT) if root is not None and len(root) else chain[-1:]
    )
    return b"".join(each.public_bytes(Encoding.PEM) for each in roots)


def _load_chain(
    secret_name: str, value: SecretValue, *, key: str = CERTIFICATE
) -> tuple[x509.Certificate, ...]:
    try:
        return tuple(x509.load_pem_x509_certificates(bytes(value.reveal())))
    except ValueError:
        raise _refusal(
            secret_name, f"whose {key} holds no certificate in PEM; put one there"
        ) from None


def _load_key(secret_name: str, value: SecretValue) -> PrivateKey:
    try:
        key = load_pem_private_key(bytes(value.reveal()), password=None)
    except TypeError:
        raise _refusal(
            secret_name, f"whose {PRIVATE_KEY} is encrypted; put the key there without a passphrase"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        # The reader's own text could quote the key.
        raise _refusal(
            secret_name, f"whose {PRIVATE_KEY} holds no private key in PEM; put one there"
        ) from None
    if not isinstance(
        key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
    ):
        raise _refusal(
            secret_name, f"whose {PRIVATE_KEY} is neither RSA, ECDSA nor Ed25519; use one of these"
        )
    return key


def _refusal(secret_name: str, why: str) -> InvalidParameterError:
    return InvalidParameterError(f"caSecretRef names the Secret {secret_name!r}, {why}")
