"""The rotator of OAuth 2 tokens.

The target makes the new values here. What it issues is kept by the engine before anything else is
done with it, but between the server's act and our store lies a reply that can be lost. What that
means, and what a server can do about it, says docs/rotators-oauth2.md.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from keyturn.domain.errors import (
    InvalidParameterError,
    TargetRefusedError,
    TargetUnavailableError,
)
from keyturn.domain.payload import SecretValue
from keyturn.domain.rotation import Strategy
from keyturn.rotators.http import Answer, HTTPClient, Reach, open_client
from keyturn.rotators.interface import Credential, Order, Target, Traits
from keyturn.rotators.oauth2.messages import (
    FORM,
    Fields,
    basic,
    bearer,
    form,
    is_over,
    read_issued,
    read_object,
    refusal,
)
from keyturn.rotators.oauth2.metadata import token_endpoint
from keyturn.rotators.oauth2.parameters import Authentication, OAuth2Parameters

_VALUES = {
    "refreshToken": "refresh_token",
    "accessToken": "access_token",
    "expiresAt": "expires_at",
    "clientId": "client_id",
    "clientSecret": "client_secret",
}
_REFRESH = "refresh_token"


class OAuth2Rotator:
    """Lets an authorization server issue new tokens for the refresh token of a secret."""

    def check(self, parameters: Mapping[str, Any]) -> None:
        OAuth2Parameters.read(parameters)

    def traits(self, parameters: Mapping[str, Any]) -> Traits:
        # A test by an access token says something only as long as its end is known.
        tested = (
            {"accessToken", "expiresAt"} if OAuth2Parameters.read(parameters).test_url else set()
        )
        return Traits(
            strategies=frozenset({Strategy.SINGLE_USER}),
            values=_VALUES,
            required=frozenset({"refreshToken"} | tested),
            rotated=frozenset({"refreshToken", "accessToken", "expiresAt"}),
            has_lock=False,
            # A server that rotates ends the old refresh token at once; access tokens live on.
            coexists=False,
            issues=True,
        )

    @asynccontextmanager
    async def session(self, target: Target, order: Order) -> AsyncIterator["OAuth2Session"]:
        parameters = OAuth2Parameters.read(target.parameters)
        reach = Reach(
            allow_private=parameters.allow_private,
            plain=parameters.plain,
            authority=target.authority,
            timeout=target.timeout,
        )
        async with open_client(reach) as client:
            yield OAuth2Session(client, parameters, target, order)


class OAuth2Session:
    """Talks to one authorization server; see `keyturn.rotators.interface.Session`."""

    def __init__(
        self, client: HTTPClient, parameters: OAuth2Parameters, target: Target, order: Order
    ) -> None:
        self._client = client
        self._parameters = parameters
        self._target = target
        self._order = order

    async def issue(self, current: Credential) -> Mapping[str, SecretValue]:
        endpoint = await token_endpoint(self._client, self._parameters)
        fields: Fields = {
            "grant_type": _REFRESH,
            "refresh_token": current.values["refreshToken"],
            "scope": self._parameters.scope,
            "resource": self._parameters.resource,
        }
        answer = await self._post(endpoint, current, fields)
        with answer.body:
            issued = read_issued(answer, datetime.now(UTC))
        return {
            # RFC 6749 section 6: where there is no new one, the old one stays.
            "refreshToken": issued.refresh_token or current.values["refreshToken"].copy(),
            "accessToken": issued.access_token,
            "expiresAt": SecretValue(issued.expires_at.encode()),
        }

    async def accepts(self, credential: Credential) -> bool:
        # The refresh token counts: an access token that still opens its door says nothing of the
        # next rotation. It cannot be tried without being used up; where the server is not asked,
        # the newest one is trusted, and each before it is taken to be spent.
        asks = bool(self._parameters.introspection_endpoint)
        if not (await self._is_active(credential) if asks else self._is_newest(credential)):
            return False
        if self._parameters.test_url and _lives(credential):
            return await self._passes(credential)
        return True

    async def set(self, pending: Credential) -> None:
        # The server has set what it issued. What it no longer takes cannot be set again.
        if not await self.accepts(pending):
            raise TargetRefusedError(
                "the server does not accept these tokens any more, and nobody but it can make new "
                "ones; a person must authorise anew and put the new token in"
            )

    async def retire(self, old: Credential, kept: Sequence[Credential]) -> None:
        endpoint = self._parameters.revocation_endpoint
        if not endpoint or any(_same(old, credential) for credential in kept):
            return
        # A server that rotates has ended the old token itself, and may take its revocation for a
        # theft and end all tokens of the grant (RFC 9700 section 4.14).
        if not await self._is_active(old):
            return
        fields: Fields = {"token": old.values["refreshToken"], "token_type_hint": _REFRESH}
        answer = await self._post(endpoint, old, fields)
        with answer.body:
            if answer.status != HTTPStatus.OK:
                raise refusal(answer)
        for credential in kept:
            if not await self._is_active(credential):
                raise TargetRefusedError(
                    "the server ended the whole grant when the old token was revoked; take "
                    "revocationEndpoint out, and let a person authorise anew"
                )

    async def holds_lock(self) -> bool:
        return True

    async def _is_active(self, credential: Credential) -> bool:
        """Ask about the refresh token (RFC 7662)."""
        fields: Fields = {"token": credential.values["refreshToken"], "token_type_hint": _REFRESH}
        endpoint = self._parameters.introspection_endpoint
        answer = await self._post(endpoint, credential, fields)
        with answer.body:
            active = read_object(answer).get("active") if answer.status == HTTPStatus.OK else None
        if not isinstance(active, bool):
            raise TargetUnavailableError(
                f"the introspection is answered by {answer.status}, which says nothing of the token"
            )
        return active

    async def _passes(self, credential: Credential) -> bool:
        headers = {"Authorization": bearer(credential.values["accessToken"])}
        answer = await self._client.send("GET", self._parameters.test_url, headers=headers)
        answer.body.zero()
        if answer.status == HTTPStatus.UNAUTHORIZED:
            return False
        if HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
            return True
        raise TargetUnavailableError(
            f"testURL is answered by {answer.status}, which says nothing of the token"
        )

    def _is_newest(self, credential: Credential) -> bool:
        newest = self._order.pending or self._order.current
        return newest is None or _same(credential, newest)

    async def _post(self, url: str, credential: Credential, fields: Fields) -> Answer:
        headers = {"Accept": "application/json", "Content-Type": FORM}
        client_id = self._client_value("clientId", credential)
        sent = dict(fields)
        match self._parameters.authentication:
            case Authentication.BASIC:
                secret = self._client_value("clientSecret", credential)
                headers["Authorization"] = basic(client_id, secret)
            case Authentication.POST:
                secret = self._client_value("clientSecret", credential)
                sent |= {"client_id": client_id, "client_secret": secret}
            case Authentication.NONE:
                sent["client_id"] = client_id
        with form(sent) as body:
            return await self._client.send("POST", url, headers=headers, body=body)

    def _client_value(self, name: str, credential: Credential) -> SecretValue:
        # Of the administrator, where there is one: a client of many secrets.
        found = self._target.admin.get(name) or credential.values.get(name)
        if found is None:
            raise InvalidParameterError(
                f"there is no {name}, in the secret or in the admin credential, for "
                f"{self._parameters.authentication.value}"
            )
        return found


def _lives(credential: Credential) -> bool:
    token, end = credential.values.get("accessToken"), credential.values.get("expiresAt")
    return bool(token) and end is not None and not is_over(end, datetime.now(UTC))


def _same(one: Credential, other: Credential) -> bool:
    return one.values["refreshToken"].matches(other.values["refreshToken"])
