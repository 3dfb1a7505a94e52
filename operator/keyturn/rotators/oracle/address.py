"""Where the database is, and how it proves to be it: the parameters of the rotator."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from keyturn.rotators.parameters import Parameters

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9.])?")
_SERVICE = re.compile(r"[A-Za-z0-9._$#-]{1,255}")
_TLS_MODE = re.compile("verifyFull|disable")


@dataclass(frozen=True, slots=True)
class Address:
    """The parameters, read; without `has_lock` nobody needs a right on DBMS_LOCK."""

    host: str
    port: int
    service_name: str
    has_lock: bool
    has_tls: bool

    @classmethod
    def read(cls, written: Mapping[str, Any]) -> Self:
        """Read the parameters.

        Raises:
            InvalidParameterError: one is missing, unknown or wrong.
        """
        parameters = Parameters(written, "host", "port", "serviceName", "lock", "tls")
        for name, example in (("host", "host: ora.shop.svc"), ("serviceName", "serviceName: pdb1")):
            if not parameters.has(name):
                raise parameters.refusal(name, f"is missing; write for example {example}")
        mode = parameters.inner("tls", "mode").text("mode", _TLS_MODE, "mode: verifyFull")
        has_tls = mode != "disable"
        return cls(
            host=parameters.text("host", _HOST, "host: ora.shop.svc"),
            port=parameters.integer("port", least=1, most=65535, default=2484 if has_tls else 1521),
            service_name=parameters.text("serviceName", _SERVICE, "serviceName: pdb1"),
            has_lock=parameters.flag("lock", default=True),
            has_tls=has_tls,
        )
