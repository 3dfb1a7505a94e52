"""Where the server is, and how it proves to be it: the parameters of the rotator."""

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from keyturn.domain.errors import TargetUnavailableError
from keyturn.rotators.parameters import Parameters

MARIADB, MYSQL = "MariaDB", "MySQL"

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9.])?|[0-9A-Fa-f:.]{2,45}")
# The host part of an account: a name, an address, a network, with the wildcards % and _.
_USER_HOST = re.compile(r"[A-Za-z0-9._:%/-]{1,255}")
_DIALECT = re.compile(f"{MARIADB}|{MYSQL}")
_TLS_MODE = re.compile("verifyFull|disable")


@dataclass(frozen=True, slots=True)
class Address:
    """The parameters, read.

    `user_host` is the host part of the accounts that are rotated. `dialect` is empty where the
    administrator did not say; the server's version tells it in any case.
    """

    host: str
    port: int
    user_host: str
    dialect: str
    has_tls: bool

    @classmethod
    def read(cls, written: Mapping[str, Any]) -> Self:
        """Read the parameters.

        Raises:
            InvalidParameterError: one is missing, unknown or wrong.
        """
        parameters = Parameters(written, "host", "port", "dialect", "userHost", "tls")
        if not parameters.has("host"):
            raise parameters.refusal("host", "is missing; write for example host: db.shop.svc")
        mode = parameters.inner("tls", "mode").text("mode", _TLS_MODE, "mode: verifyFull")
        return cls(
            host=parameters.text("host", _HOST, "host: db.shop.svc"),
            port=parameters.integer("port", least=1, most=65535, default=3306),
            user_host=parameters.text("userHost", _USER_HOST, 'userHost: "10.0.%"') or "%",
            dialect=parameters.text("dialect", _DIALECT, "dialect: MariaDB"),
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
        return ssl.create_default_context(cadata=authority.decode("ascii") if authority else None)
    except (UnicodeDecodeError, ssl.SSLError):
        raise TargetUnavailableError(
            "the certificates of the target's authority cannot be read; write them in PEM"
        ) from None
