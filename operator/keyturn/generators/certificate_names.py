"""The subject of a certificate and its alternative names (RFC 5280)."""

import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Self
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.x509.oid import NameOID

from keyturn.generators.parameters import Parameters

FIELDS = ("commonName", "dnsNames", "ipAddresses", "uris", "emailAddresses")

_MAX_COMMON_NAME = 64
_MAX_DNS_NAME = 253
_MAX_HOSTS, _MAX_OTHERS = 100, 20
_MAX_IP, _MAX_URI, _MAX_EMAIL = 45, 1024, 254
_LABEL = r"[a-z0-9_](?:[-a-z0-9_]{0,61}[a-z0-9_])?"
_DNS_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_URI = re.compile(r"[a-zA-Z][-a-zA-Z0-9+.]*:[!-~]+")
_LOCAL_PART = re.compile(r"[-a-zA-Z0-9.!#$%&'*+/=?^_`{|}~]{1,64}")


@dataclass(frozen=True, slots=True)
class CertificateNames:
    """Whom a certificate is for."""

    common_name: str
    alternatives: tuple[x509.GeneralName, ...]

    @classmethod
    def read(cls, fields: Parameters) -> Self:
        """Read the fields that name somebody.

        Raises:
            InvalidParameterError: a name is malformed, or there is none.
        """
        hosts, others = _MAX_HOSTS, _MAX_OTHERS
        dns = fields.texts("dnsNames", most=hosts, longest=_MAX_DNS_NAME)
        addresses = fields.texts("ipAddresses", most=hosts, longest=_MAX_IP)
        uris = fields.texts("uris", most=others, longest=_MAX_URI)
        emails = fields.texts("emailAddresses", most=others, longest=_MAX_EMAIL)
        alternatives: tuple[x509.GeneralName, ...] = (
            *(_dns_name(fields, name) for name in dns),
            *(_ip_address(fields, address) for address in addresses),
            *(_uri(fields, uri) for uri in uris),
            *(_email(fields, email) for email in emails),
        )
        common_name = fields.text("commonName", least=1, most=_MAX_COMMON_NAME)
        if not common_name and not alternatives:
            raise fields.refusal(
                "commonName",
                "is missing, and so is every other name; write at least one of "
                f"{', '.join(FIELDS)}",
            )
        return cls(common_name, tuple(dict.fromkeys(alternatives)))

    @property
    def subject(self) -> x509.Name:
        if not self.common_name:
            return x509.Name([])
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.common_name)])

    @property
    def alternatives_are_critical(self) -> bool:
        """Tell whether a reader has to understand them, as the subject is empty."""
        return not self.common_name


def _dns_name(fields: Parameters, name: str) -> x509.DNSName:
    if not name.isascii():
        raise fields.refusal(
            "dnsNames",
            f"holds {name!r}, which is not ASCII; write its A-label, as xn--bcher-kva.example "
            "for bücher.example",
        )
    lower = name.lower()
    if not _DNS_NAME.fullmatch(lower.removeprefix("*.")):
        raise fields.refusal(
            "dnsNames",
            f"holds {name!r}, which is no DNS name; write for example www.example.com, or "
            "*.example.com for all of its direct children",
        )
    if re.fullmatch(r"[0-9.]+", lower):
        raise fields.refusal("dnsNames", f"holds {name!r}, which belongs in ipAddresses")
    return x509.DNSName(lower)


def _ip_address(fields: Parameters, address: str) -> x509.IPAddress:
    refusal = fields.refusal(
        "ipAddresses",
        f"holds {address!r}, which is no IP address; write for example 10.0.0.1 or fd00::1",
    )
    if "%" in address:  # a zone has no place in a certificate
        raise refusal
    try:
        return x509.IPAddress(ip_address(address))
    except ValueError:
        raise refusal from None


def _uri(fields: Parameters, uri: str) -> x509.UniformResourceIdentifier:
    try:
        is_absolute = _URI.fullmatch(uri) is not None and bool(urlsplit(uri).scheme)
    except ValueError:
        is_absolute = False
    if not is_absolute:
        raise fields.refusal(
            "uris",
            f"holds {uri[:100]!r}, which is no absolute URI in ASCII; write for example "
            "spiffe://example.com/orders",
        )
    return x509.UniformResourceIdentifier(uri)


def _email(fields: Parameters, email: str) -> x509.RFC822Name:
    local, _, domain = email.rpartition("@")
    if not _LOCAL_PART.fullmatch(local) or not _DNS_NAME.fullmatch(domain.lower()):
        raise fields.refusal(
            "emailAddresses",
            f"holds {email!r}, which is no e-mail address in ASCII; write for example "
            "ops@example.com",
        )
    return x509.RFC822Name(email)
