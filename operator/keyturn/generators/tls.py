"""Certificates with their private keys: self-signed, or signed by an authority."""

import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding

from keyturn.domain.duration import format_duration
from keyturn.domain.errors import InvalidParameterError
from keyturn.domain.payload import SecretValue
from keyturn.generators.certificate_authority import CertificateAuthority
from keyturn.generators.certificate_request import (
    DEFAULT_DURATION,
    SHORTEST,
    CertificateRequest,
    ca_secret_of,
)
from keyturn.generators.interface import Materials, Needs
from keyturn.generators.key_pairs import PrivateKey

_BACKDATE = timedelta(minutes=5)
"""For clocks that are behind ours, so that a new certificate is valid there as well."""

_SERIAL_BITS = 159
"""RFC 5280 allows 20 octets for a positive number."""


class _Validity(NamedTuple):
    not_before: datetime
    not_after: datetime


class TLSGenerator:
    """Makes a private key and a certificate for it."""

    def outputs(self, key: str, parameters: Mapping[str, Any]) -> Mapping[str, str]:
        return CertificateRequest.read(key, parameters).outputs

    def needs(self, parameters: Mapping[str, Any]) -> Needs:
        name = ca_secret_of(parameters)
        return Needs(secrets=frozenset((name,)) if name else frozenset())

    def generate(
        self, key: str, parameters: Mapping[str, Any], materials: Materials
    ) -> Mapping[str, SecretValue]:
        request = CertificateRequest.read(key, parameters)
        # The authority is checked first: a key may take seconds, a refusal should not.
        authority = _authority(request, materials)
        validity = _validity(request, authority, materials.now)
        pair = request.key_spec.kind.make()
        certificate = _sign(request, pair, authority, validity)
        served = (certificate, *(authority.intermediates if authority else ()))
        made = {
            "privateKey": request.key_spec.pem(pair),
            "certificate": SecretValue(
                b"".join(each.public_bytes(Encoding.PEM) for each in served)
            ),
            "ca": SecretValue(
                authority.root_pem if authority else certificate.public_bytes(Encoding.PEM)
            ),
        }
        return {key: made[output] for output, key in request.outputs.items()}


def _authority(request: CertificateRequest, materials: Materials) -> CertificateAuthority | None:
    if not request.ca_secret:
        return None
    authority = CertificateAuthority.read(request.ca_secret, materials.secrets)
    authority.check_validity(materials.now)
    if request.is_ca:
        authority.check_may_sign_authorities()
    return authority


def _validity(
    request: CertificateRequest, authority: CertificateAuthority | None, now: datetime
) -> _Validity:
    """Tell from when to when the certificate is valid: never longer than its authority.

    A duration that the author wrote is kept or refused; the default one is cut to what is left.
    """
    now = now.replace(microsecond=0)
    not_after = now + (request.duration or DEFAULT_DURATION)
    if authority is None:
        return _Validity(now - _BACKDATE, not_after)
    left = authority.not_after - now
    if left < SHORTEST:
        raise InvalidParameterError(
            f"caSecretRef names the Secret {request.ca_secret!r}, whose certificate expires at "
            f"{authority.not_after.isoformat()}, too soon for another one; renew it"
        )
    if request.duration and request.duration > left:
        raise InvalidParameterError(
            f"duration is longer than the authority in the Secret {request.ca_secret!r} is valid "
            f"(until {authority.not_after.isoformat()}); write at most "
            f"duration: {format_duration(_whole_hours(left))}, or renew the authority"
        )
    return _Validity(
        max(now - _BACKDATE, authority.not_before), min(not_after, authority.not_after)
    )


def _whole_hours(span: timedelta) -> timedelta:
    return timedelta(hours=span // timedelta(hours=1))


def _sign(
    request: CertificateRequest,
    pair: PrivateKey,
    authority: CertificateAuthority | None,
    validity: _Validity,
) -> x509.Certificate:
    public = pair.public_key()
    builder = x509.CertificateBuilder(
        subject_name=request.names.subject,
        issuer_name=authority.certificate.subject if authority else request.names.subject,
        public_key=public,
        serial_number=1 + secrets.randbelow(2**_SERIAL_BITS - 1),
        not_valid_before=validity.not_before,
        not_valid_after=validity.not_after,
    )
    identifier = x509.SubjectKeyIdentifier.from_public_key(public)
    issuer = _issuer_identifier(authority.certificate) if authority else identifier
    builder = (
        builder.add_extension(x509.BasicConstraints(request.is_ca, None), critical=True)
        .add_extension(identifier, critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer), critical=False
        )
    )
    if request.names.alternatives:
        builder = builder.add_extension(
            x509.SubjectAlternativeName(request.names.alternatives),
            critical=request.names.alternatives_are_critical,
        )
    signing_key = authority.key if authority else pair
    return request.usages.add_to(builder).sign(signing_key, _digest(signing_key))


def _issuer_identifier(certificate: x509.Certificate) -> x509.SubjectKeyIdentifier:
    """Return the identifier that the authority calls its key by; other makers hash differently."""
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        return x509.SubjectKeyIdentifier.from_public_key(certificate.public_key())


def _digest(key: PrivateKey) -> hashes.SHA256 | hashes.SHA384 | hashes.SHA512 | None:
    """Choose the digest that is as strong as the key; Ed25519 brings its own."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return None
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.key_size > hashes.SHA256.digest_size * 8:
        is_largest = key.key_size > hashes.SHA384.digest_size * 8
        return hashes.SHA512() if is_largest else hashes.SHA384()
    return hashes.SHA256()
