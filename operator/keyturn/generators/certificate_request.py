"""What the parameters of a certificate ask for."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Self

from keyturn.domain.duration import format_duration, parse_duration
from keyturn.domain.errors import InvalidParameterError
from keyturn.generators import certificate_names, key_pairs
from keyturn.generators.certificate_names import CertificateNames
from keyturn.generators.certificate_usages import CertificateUsages
from keyturn.generators.key_pairs import KeySpec
from keyturn.generators.parameters import Parameters, distinct

DEFAULT_DURATION = timedelta(days=90)
SHORTEST, LONGEST = timedelta(hours=1), timedelta(days=3650)

_MAX_DURATION_TEXT = 32
_MAX_SECRET_NAME = 253
_FIELDS = (
    *certificate_names.FIELDS,
    *("duration", "usages", "isCA", "privateKey", "caSecretRef", "outputs"),
)


@dataclass(frozen=True, slots=True)
class CertificateRequest:
    """A certificate that is asked for.

    `duration` is None where the author left it out; `ca_secret` is empty for a self-signed one.
    """

    names: CertificateNames
    usages: CertificateUsages
    is_ca: bool
    duration: timedelta | None
    key_spec: KeySpec
    ca_secret: str
    outputs: Mapping[str, str]

    @classmethod
    def read(cls, key: str, parameters: Mapping[str, Any]) -> Self:
        """Read the parameters.

        Raises:
            InvalidParameterError: one is out of bounds, or they do not fit together.
        """
        fields = Parameters(parameters, *_FIELDS)
        is_ca = fields.flag("isCA", default=False)
        names = CertificateNames.read(fields)
        if is_ca and not names.common_name:
            raise fields.refusal(
                "commonName", "is missing; an authority needs one, as others name it by that"
            )
        named = fields.inner("outputs", "certificate", "ca")
        outputs = {
            "privateKey": key,
            "certificate": named.key("certificate", default="tls.crt"),
            "ca": named.key("ca", default="ca.crt"),
        }
        return cls(
            names=names,
            usages=CertificateUsages.read(fields, is_ca=is_ca),
            is_ca=is_ca,
            duration=_read_duration(fields),
            key_spec=KeySpec.read(fields.inner("privateKey", *key_pairs.FIELDS)),
            ca_secret=read_ca_secret(fields),
            outputs=distinct(outputs),
        )


def ca_secret_of(parameters: Mapping[str, Any]) -> str:
    """Name the native Secret of the authority; empty for a self-signed certificate."""
    return read_ca_secret(Parameters(parameters, *_FIELDS))


def read_ca_secret(fields: Parameters) -> str:
    """Read `caSecretRef`.

    Raises:
        InvalidParameterError: it is there, but names no Secret.
    """
    if not fields.has("caSecretRef"):
        return ""
    reference = fields.inner("caSecretRef", "name")
    name = reference.text("name", most=_MAX_SECRET_NAME)
    if not name:
        raise reference.refusal("name", "is missing; write the name of a Secret of this namespace")
    return name


def _read_duration(fields: Parameters) -> timedelta | None:
    if not fields.has("duration"):
        return None
    try:
        duration = parse_duration(fields.text("duration", most=_MAX_DURATION_TEXT))
    except InvalidParameterError as error:
        raise fields.refusal("duration", str(error)) from error
    if not SHORTEST <= duration <= LONGEST:
        raise fields.refusal(
            "duration",
            f"must be from {format_duration(SHORTEST)} to {format_duration(LONGEST)}; "
            f"write for example duration: {format_duration(DEFAULT_DURATION)}",
        )
    return duration
