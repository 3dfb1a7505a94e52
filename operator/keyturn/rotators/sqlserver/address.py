"""Where the server is, and how it proves to be it: the parameters of the rotator."""

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from keyturn.domain.errors import TargetUnavailableError
from keyturn.rotators.parameters import Parameters

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9.])?|[0-9A-Fa-f:.]{2,45}")
_DATABASE = re.compile(r"[^\x00-\x1f]{1,128}")
_TLS_MODE = re.compile("verifyFull|disable")


@dataclass(frozen=True, slots=True)
class Address:
    """The parameters, read. With `is_contained` users are those of `database` itself."""

    host: str
    port: int
    database: str
    is_contained: bool
    has_tls: bool

    @classmethod
    def read(cls, written: Mapping[str, Any]) -> Self:
        """Read the parameters.

        Raises:
            InvalidParameterError: one is missing, unknown or wrong.
        """
        parameters = Parameters(written, "host", "port", "database", "contained", "tls")
        if not parameters.has("host"):
            raise parameters.refusal("host", "is missing; write for example host: sql.shop.svc")
        is_contained = parameters.flag("contained")
        if is_contained and not parameters.has("database"):
            raise parameters.refusal("database", "is missing; contained users belong to one")
        mode = parameters.inner("tls", "mode").text("mode", _TLS_MODE, "mode: verifyFull")
        return cls(
            host=parameters.text("host", _HOST, "host: sql.shop.svc"),
            port=parameters.integer("port", least=1, most=65535, default=1433),
            database=parameters.text("database", _DATABASE, "database: shop") or "master",
            is_contained=is_contained,
            has_tls=mode != "disable",
        )


def tls_context(address: Address, authority: bytes) -> ssl.SSLContext | None:
    """Make what verifies the server's certificate and its host name; None without TLS.

    Raises:
        TargetUnavailableError: `authority` holds no certificates.
    """
    if not address.has_tls:
        return None
    try:
        context = ssl.create_default_context(
            cadata=authority.decode("ascii") if authority else None
        )
    except (UnicodeDecodeError, ssl.SSLError):
        raise TargetUnavailableError(
            "the certificates of the target's authority cannot be read; write them in PEM"
        ) from None
    # In TDS 7 the handshake goes in packets of its own, whose end TLS 1.3 does not show.
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context
