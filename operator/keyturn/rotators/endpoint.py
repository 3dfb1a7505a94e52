"""Where a server with a protocol of its own listens, and whose certificates are trusted there."""

import re
import ssl
from dataclasses import dataclass

from keyturn.domain.errors import InvalidParameterError
from keyturn.rotators.parameters import Parameters

FIELDS = ("host", "port", "tls")
"""The parameters that `Endpoint.read` reads."""

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9.])?|[0-9A-Fa-f:.]{2,45}")
_MODE = re.compile(r"verifyFull|disable")
_PORTS = 65535


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server's address; `tls` says that its certificate is verified, chain and name."""

    host: str
    port: int
    tls: bool

    @classmethod
    def read(
        cls, fields: Parameters, *, port: int, example: str = "host: db.shop.svc"
    ) -> "Endpoint":
        """Read it; `port` is the default one. Raises: InvalidParameterError."""
        host = fields.text("host", _HOST, example)
        if not host:
            raise fields.refusal("host", f"is missing; write for example {example}")
        mode = fields.inner("tls", "mode").text("mode", _MODE, "mode: verifyFull")
        number = fields.integer("port", least=1, most=_PORTS, default=port)
        return cls(host, number, tls=mode != "disable")

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def trust(authority: bytes) -> ssl.SSLContext:
    """Trust these certificates (PEM) alone; those of the system where none are given.

    Raises:
        InvalidParameterError: they cannot be read.
    """
    try:
        return ssl.create_default_context(cadata=authority.decode("ascii") or None)
    except (ssl.SSLError, ValueError):
        raise InvalidParameterError(
            "the CA certificates of the target cannot be read; give them as PEM"
        ) from None
