"""The metadata of an authorization server: RFC 8414, and OpenID Connect Discovery 1.0."""

from http import HTTPStatus
from urllib.parse import urlsplit

from keyturn.domain.errors import (
    InvalidParameterError,
    TargetRefusedError,
    TargetUnavailableError,
)
from keyturn.rotators.addresses import check_url
from keyturn.rotators.http import HTTPClient
from keyturn.rotators.oauth2.messages import read_object
from keyturn.rotators.oauth2.parameters import Authentication, OAuth2Parameters

_OAUTH, _OPENID = "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"


def places(issuer: str) -> tuple[str, str]:
    """Tell where the metadata of an issuer may stand, in the order to look.

    RFC 8414 puts its name before the path of the issuer, OpenID Connect behind it.

    >>> places("https://auth.example.com/shop")[0]
    'https://auth.example.com/.well-known/oauth-authorization-server/shop'
    >>> places("https://auth.example.com/shop")[1]
    'https://auth.example.com/shop/.well-known/openid-configuration'
    """
    parts = urlsplit(issuer)
    path = parts.path.rstrip("/")
    return (
        f"{parts.scheme}://{parts.netloc}{_OAUTH}{path}",
        f"{parts.scheme}://{parts.netloc}{path}{_OPENID}",
    )


async def token_endpoint(client: HTTPClient, parameters: OAuth2Parameters) -> str:
    """Return the URL that tokens are asked for at.

    Raises:
        TargetUnavailableError: the metadata cannot be read, or is that of another issuer.
        TargetRefusedError: the server does not do what the parameters ask for.
    """
    if parameters.token_endpoint:
        return parameters.token_endpoint
    found = await _metadata(client, parameters.issuer)
    # RFC 8414 section 3.3: identical, or somebody else answers.
    if found.get("issuer") != parameters.issuer:
        raise TargetUnavailableError("the metadata is that of another issuer; compare issuer")
    # Section 2: left out, it is client_secret_basic alone.
    methods = found.get("token_endpoint_auth_methods_supported") or [Authentication.BASIC.value]
    if not isinstance(methods, list) or parameters.authentication.value not in methods:
        raise TargetRefusedError(
            f"the server does not take {parameters.authentication.value}; "
            "write another clientAuthentication"
        )
    try:
        return check_url(
            "token_endpoint of the metadata",
            found.get("token_endpoint"),
            plain=parameters.plain,
            allow_private=parameters.allow_private,
        )
    except InvalidParameterError as error:
        # The server's fault, and not that of who wrote the parameters.
        raise TargetUnavailableError(error.message) from None


async def _metadata(client: HTTPClient, issuer: str) -> dict[str, object]:
    for place in places(issuer):
        answer = await client.send("GET", place, headers={"Accept": "application/json"})
        if answer.status == HTTPStatus.OK:
            return dict(read_object(answer))
        if answer.status != HTTPStatus.NOT_FOUND:
            raise TargetUnavailableError(f"the issuer's metadata is answered by {answer.status}")
    raise TargetUnavailableError("the issuer has no metadata; write tokenEndpoint in its place")
