"""Where the server is, and how it proves to be it: the parameters of the rotator."""

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from keyturn.rotators import sql
from keyturn.rotators.endpoint import Endpoint
from keyturn.rotators.parameters import Parameters

_DATABASE = re.compile(r"[^\x00-\x1f]{1,128}")


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
        endpoint = Endpoint.read(parameters, port=1433, example="host: sql.shop.svc")
        is_contained = parameters.flag("contained")
        if is_contained and not parameters.has("database"):
            raise parameters.refusal("database", "is missing; contained users belong to one")
        return cls(
            host=endpoint.host,
            port=endpoint.port,
            database=parameters.text("database", _DATABASE, "database: shop") or "master",
            is_contained=is_contained,
            has_tls=endpoint.tls,
        )


def tls_context(address: Address, authority: bytes) -> ssl.SSLContext | None:
    """Make what verifies the server's certificate and its host name; None without TLS.

    Raises:
        TargetUnavailableError: `authority` holds no certificates.
    """
    context = sql.tls_context(authority, has_tls=address.has_tls)
    if context is not None:
        # In TDS 7 the handshake goes in packets of its own, whose end TLS 1.3 does not show.
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context
