"""The parameters of the OAuth 2 rotator."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from keyturn.rotators.addresses import check_url
from keyturn.rotators.parameters import Parameters

_MODE = re.compile(r"verifyFull|disable")
_AUTHENTICATION = re.compile(r"client_secret_basic|client_secret_post|none")
_ANY = re.compile(r".*")
# RFC 6749, appendix A.4: scope-token, one blank between two.
_SCOPE = re.compile(r"[!#-\[\]-~]+(?: [!#-\[\]-~]+){0,63}")
_FIELDS = (
    "issuer",
    "tokenEndpoint",
    "clientAuthentication",
    "scope",
    "resource",
    "introspectionEndpoint",
    "revocationEndpoint",
    "testURL",
    "allowPrivateAddresses",
    "tls",
)


class Authentication(StrEnum):
    """How the client authenticates, by the names of RFC 7591."""

    BASIC = "client_secret_basic"
    POST = "client_secret_post"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class OAuth2Parameters:
    """Where the authorization server is; a URL that was not given is empty.

    `plain` allows http, `allow_private` addresses that are not public. All URLs have passed
    `check_url` with these two.
    """

    issuer: str
    token_endpoint: str
    authentication: Authentication
    scope: str
    resource: str
    introspection_endpoint: str
    revocation_endpoint: str
    test_url: str
    allow_private: bool
    plain: bool

    @classmethod
    def read(cls, written: Mapping[str, Any]) -> "OAuth2Parameters":
        """Read the parameters.

        Raises:
            InvalidParameterError: one of them cannot work.
        """
        fields = Parameters(written, *_FIELDS)
        mode = fields.inner("tls", "mode").text("mode", _MODE, "mode: verifyFull")
        plain = mode == "disable"
        allow_private = fields.flag("allowPrivateAddresses")

        def url(name: str) -> str:
            written = fields.text(name, _ANY, f"{name}: https://auth.example.com/…")
            if not fields.has(name):
                return ""
            return check_url(name, written, plain=plain, allow_private=allow_private)

        _check_combination(fields)
        chosen = fields.text(
            "clientAuthentication", _AUTHENTICATION, "clientAuthentication: client_secret_basic"
        )
        return cls(
            issuer=url("issuer"),
            token_endpoint=url("tokenEndpoint"),
            authentication=Authentication(chosen or Authentication.BASIC),
            scope=fields.text("scope", _SCOPE, "scope: orders.read orders.write"),
            resource=_resource(fields),
            introspection_endpoint=url("introspectionEndpoint"),
            revocation_endpoint=url("revocationEndpoint"),
            test_url=url("testURL"),
            allow_private=allow_private,
            plain=plain,
        )


def _check_combination(fields: Parameters) -> None:
    if fields.has("issuer") == fields.has("tokenEndpoint"):
        raise fields.refusal("issuer", "or tokenEndpoint is to be given, and not both")
    if fields.has("revocationEndpoint") and not fields.has("introspectionEndpoint"):
        raise fields.refusal(
            "revocationEndpoint",
            "needs introspectionEndpoint too: only a token that is still active is revoked",
        )


def _resource(fields: Parameters) -> str:
    # RFC 8707: an absolute URI, which is named and never called.
    return fields.text(
        "resource",
        re.compile(r"[a-z][a-z0-9+.-]*:[!\"$-~]{1,2000}"),
        "resource: https://api.example.com/",
    )
