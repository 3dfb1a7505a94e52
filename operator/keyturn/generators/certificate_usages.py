"""What a certificate may be used for, in cert-manager's words."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Self

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier

from keyturn.generators.parameters import Parameters

_MAX_USAGES = 20
_LONGEST = 32
_KEY_USAGES: Mapping[str, str] = MappingProxyType(
    {
        "signing": "digital_signature",
        "digital signature": "digital_signature",
        "content commitment": "content_commitment",
        "key encipherment": "key_encipherment",
        "key agreement": "key_agreement",
        "data encipherment": "data_encipherment",
        "cert sign": "key_cert_sign",
        "crl sign": "crl_sign",
        "encipher only": "encipher_only",
        "decipher only": "decipher_only",
    }
)
_EXTENDED_USAGES: Mapping[str, ObjectIdentifier] = MappingProxyType(
    {
        "any": ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
        "server auth": ExtendedKeyUsageOID.SERVER_AUTH,
        "client auth": ExtendedKeyUsageOID.CLIENT_AUTH,
        "code signing": ExtendedKeyUsageOID.CODE_SIGNING,
        "email protection": ExtendedKeyUsageOID.EMAIL_PROTECTION,
        "s/mime": ExtendedKeyUsageOID.EMAIL_PROTECTION,
        "ipsec end system": ObjectIdentifier("1.3.6.1.5.5.7.3.5"),
        "ipsec tunnel": ObjectIdentifier("1.3.6.1.5.5.7.3.6"),
        "ipsec user": ObjectIdentifier("1.3.6.1.5.5.7.3.7"),
        "timestamping": ExtendedKeyUsageOID.TIME_STAMPING,
        "ocsp signing": ExtendedKeyUsageOID.OCSP_SIGNING,
    }
)
_LEAF = ("digital signature", "key encipherment", "server auth")
_AUTHORITY = ("digital signature", "cert sign", "crl sign")


@dataclass(frozen=True, slots=True)
class CertificateUsages:
    """The bits of the extension key usage and the identifiers of the extended one."""

    bits: frozenset[str]
    extended: tuple[ObjectIdentifier, ...]

    @classmethod
    def read(cls, fields: Parameters, *, is_ca: bool) -> Self:
        """Read `usages`; an authority may always sign certificates.

        Raises:
            InvalidParameterError: a usage is unknown, or has no meaning for this certificate.
        """
        written = fields.texts("usages", most=_MAX_USAGES, longest=_LONGEST)
        usages = written or (_AUTHORITY if is_ca else _LEAF)
        for usage in usages:
            if usage not in _KEY_USAGES and usage not in _EXTENDED_USAGES:
                known = ", ".join((*_KEY_USAGES, *_EXTENDED_USAGES))
                raise fields.refusal("usages", f"holds {usage!r}; write some of {known}")
        bits = {_KEY_USAGES[usage] for usage in usages if usage in _KEY_USAGES}
        if is_ca:
            bits.add("key_cert_sign")
        elif "key_cert_sign" in bits:
            raise fields.refusal("usages", "holds 'cert sign'; write also isCA: true")
        if bits & {"encipher_only", "decipher_only"} and "key_agreement" not in bits:
            raise fields.refusal(
                "usages",
                "holds 'encipher only' or 'decipher only'; write also 'key agreement', "
                "without which they have no meaning",
            )
        extended = dict.fromkeys(
            _EXTENDED_USAGES[usage] for usage in usages if usage in _EXTENDED_USAGES
        )
        return cls(frozenset(bits), tuple(extended))

    def add_to(self, builder: x509.CertificateBuilder) -> x509.CertificateBuilder:
        """Add the extensions; one that would say nothing is left out."""
        if self.bits:
            usage = x509.KeyUsage(**{bit: bit in self.bits for bit in _KEY_USAGES.values()})
            builder = builder.add_extension(usage, critical=True)
        if self.extended:
            builder = builder.add_extension(x509.ExtendedKeyUsage(self.extended), critical=False)
        return builder
