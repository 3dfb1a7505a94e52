"""A real OAuth 2 authorization server (Authlib's) over TLS on loopback, in a process of its own.

Run as a script it serves, and is told by lines of JSON on its standard input what to do next; each
is answered by a line. `running_server` starts and stops it.
"""

import asyncio
import json
import os
import secrets
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from aiohttp import web
from authlib.oauth2.rfc6749 import AuthorizationServer, ClientMixin, TokenMixin
from authlib.oauth2.rfc6749.grants import RefreshTokenGrant
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload, OAuth2Request
from authlib.oauth2.rfc6750 import BearerTokenGenerator
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7662 import IntrospectionEndpoint
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata

from servers.certificates import KeyPair

PATHS: Final = {
    "/shop/token": "token",
    "/shop/introspect": "introspection",
    "/shop/revoke": "revocation",
    "/resource": "resource",
    "/.well-known/oauth-authorization-server/shop": "metadata",
    "/shop/.well-known/openid-configuration": "openid",
}
_METHODS: Final = ["client_secret_basic", "client_secret_post", "none"]


@dataclass
class Settings:
    """How the server behaves.

    `grace` is how often a refresh token that was rotated is still taken. `revokes_grant`: the
    revocation of one token ends all of its grant. `expires_in` is in seconds; None: it is not
    told. `answers` are put in place of the server's own, by the names of `PATHS`; `drops` are the
    paths that act, and then hang up.
    """

    rotates: bool = True
    reuse_detection: bool = True
    grace: int = 0
    revokes_grant: bool = True
    expires_in: int | None = 3600
    openid_only: bool = False
    metadata: dict[str, Any] = field(default_factory=dict)
    answers: dict[str, dict[str, Any]] = field(default_factory=dict)
    drops: list[str] = field(default_factory=list)


@dataclass
class Client(ClientMixin):
    client_id: str
    secret: str
    method: str

    def get_client_id(self) -> str:
        return self.client_id

    def get_allowed_scope(self, scope: str) -> str:
        return scope

    def check_client_secret(self, client_secret: str) -> bool:
        return secrets.compare_digest(self.secret, client_secret)

    def check_endpoint_auth_method(self, method: str, _: str) -> bool:
        return method == self.method

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type == "refresh_token"


@dataclass
class Token(TokenMixin):
    client_id: str
    grant: str
    scope: str
    access_token: str
    refresh_token: str
    ends: float
    revoked: bool = False
    used: int = 0

    def check_client(self, client: Client) -> bool:
        return self.client_id == client.client_id

    def get_scope(self) -> str:
        return self.scope

    def get_expires_in(self) -> int:
        return int(self.ends - time.time())

    def is_expired(self) -> bool:
        return self.revoked

    is_revoked = is_expired


class Request(OAuth2Request):
    def __init__(self, request: web.Request, form: Mapping[str, str]) -> None:
        super().__init__(request.method, str(request.url), headers=dict(request.headers))
        self.payload = BasicOAuth2Payload(form)
        self._form = form

    @property
    def form(self) -> Mapping[str, str]:
        return self._form

    @property
    def args(self) -> Mapping[str, str]:
        return {}


class Server(AuthorizationServer):
    """Keeps clients and tokens in memory."""

    def __init__(self) -> None:
        super().__init__(scopes_supported=["read", "write"])
        self.settings = Settings()
        self.clients: dict[str, Client] = {}
        self.tokens: list[Token] = []
        self.log: list[dict[str, Any]] = []
        self.issuer = ""
        self.register_token_generator(
            "default", BearerTokenGenerator(_new_token, _new_token, self._lifetime)
        )
        self.register_grant(Refresh)
        self.register_endpoint(Introspect)
        self.register_endpoint(Revoke)

    def _lifetime(self, client: Client, grant_type: str) -> int:
        return self.settings.expires_in or 0

    def query_client(self, client_id: str) -> Client | None:
        return self.clients.get(client_id)

    def save_token(self, token: dict[str, Any], request: Request) -> None:
        old: Token = request.refresh_token
        ends = time.time() + (self.settings.expires_in or 3600)
        refresh = token.get("refresh_token", old.refresh_token)
        access: str = token["access_token"]
        self.tokens.append(Token(old.client_id, old.grant, old.scope, access, refresh, ends))

    def send_signal(self, name: str, *_: Any, **__: Any) -> None: ...

    def create_oauth2_request(self, request: Request) -> Request:
        return request

    def handle_response(
        self, status: int, body: dict[str, Any], headers: list[tuple[str, str]]
    ) -> web.Response:
        return web.Response(status=status, text=json.dumps(body), headers=dict(headers))

    def of_grant(self, grant: str) -> list[Token]:
        return [token for token in self.tokens if token.grant == grant]

    def find(self, text: str) -> Token | None:
        """Find the newest token that text is a part of."""
        for token in reversed(self.tokens):
            if text in (token.refresh_token, token.access_token):
                return token
        return None

    def opens(self, request: Request) -> bool:
        """Tell whether the resource is open to the access token of a request."""
        _, _, text = request.headers.get("Authorization", "").partition("Bearer ")
        found = self.find(text)
        if found is None or found.access_token != text or found.revoked:
            return False
        return found.ends > time.time()

    def metadata(self) -> dict[str, Any]:
        found = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "response_types_supported": ["code"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "token_endpoint_auth_methods_supported": _METHODS,
            "introspection_endpoint": f"{self.issuer}/introspect",
            "revocation_endpoint": f"{self.issuer}/revoke",
        }
        AuthorizationServerMetadata(found).validate()
        return {**found, **self.settings.metadata}


class Refresh(RefreshTokenGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = _METHODS
    server: Server

    @property
    def INCLUDE_NEW_REFRESH_TOKEN(self) -> bool:  # noqa: N802
        return self.server.settings.rotates

    def authenticate_refresh_token(self, refresh_token: str) -> Token | None:
        found = self.server.find(refresh_token)
        if found is None or found.refresh_token != refresh_token or found.revoked:
            return None
        if found.used > self.server.settings.grace:
            if self.server.settings.reuse_detection:
                for token in self.server.of_grant(found.grant):
                    token.revoked = True
            return None
        return found

    def authenticate_user(self, refresh_token: Token) -> str:
        return "user"

    def revoke_old_credential(self, refresh_token: Token) -> None:
        if self.server.settings.rotates:
            refresh_token.used += 1


class Introspect(IntrospectionEndpoint):
    CLIENT_AUTH_METHODS = _METHODS
    server: Server

    def query_token(self, token_string: str, token_type_hint: str) -> Token | None:
        return self.server.find(token_string)

    def check_permission(self, token: Token, client: Client, request: Request) -> bool:
        is_refresh = token.refresh_token == request.form["token"]
        is_spent = is_refresh and token.used > self.server.settings.grace
        return token.check_client(client) and not is_spent and not token.revoked

    def introspect_token(self, token: Token) -> dict[str, Any]:
        return {"active": True, "client_id": token.client_id, "scope": token.scope}


class Revoke(RevocationEndpoint):
    CLIENT_AUTH_METHODS = _METHODS
    server: Server

    def query_token(self, token_string: str, token_type_hint: str) -> Token | None:
        return self.server.find(token_string)

    def revoke_token(self, token: Token, request: Request) -> None:
        ended = self.server.of_grant(token.grant) if self.server.settings.revokes_grant else [token]
        for each in ended:
            each.revoked = True


def _new_token(**_: Any) -> str:
    # With signs that a form has to encode.
    return f"{secrets.token_urlsafe(24)}+/= &%"


async def _handle(server: Server, request: web.Request) -> web.StreamResponse:
    name = PATHS.get(request.path, "")
    form = {key: str(value) for key, value in (await request.post()).items()}
    server.log.append({"name": name, "method": request.method, "form": form})
    answer = _respond(server, name, Request(request, form))
    if name in server.settings.drops:
        assert request.transport is not None
        request.transport.abort()
    if name not in server.settings.answers:
        return answer
    put = server.settings.answers[name]
    return web.Response(
        status=put.get("status", 200),
        text=put.get("body", ""),
        headers={"Content-Type": "application/json", **put.get("headers", {})},
    )


def _respond(server: Server, name: str, request: Request) -> web.Response:
    match name:
        case "token":
            made: web.Response = server.create_token_response(request)
            return made
        case "introspection" | "revocation":
            ended: web.Response = server.create_endpoint_response(name, request)
            return ended
        case "metadata" | "openid" if name == "openid" or not server.settings.openid_only:
            return web.json_response(server.metadata())
        case "resource":
            return web.Response(status=200 if server.opens(request) else 401)
        case _:
            return web.Response(status=404)


def _obey(server: Server, order: Any) -> Any:
    match order:
        case {"settings": settings}:
            server.settings = Settings(**settings)
        case {"client": [client_id, secret, method]}:
            server.clients[client_id] = Client(client_id, secret, method)
        case {"grant": client_id}:
            ends = time.time() + 3600
            made = Token(client_id, _new_token(), "read write", _new_token(), _new_token(), ends)
            server.tokens.append(made)
            return [made.refresh_token, made.access_token]
        case {"end": refresh}:
            found = server.find(refresh)
            for token in server.of_grant(found.grant) if found else ():
                token.revoked = True
        case {"log": True}:
            seen, server.log = server.log, []
            return seen
        case _:
            raise ValueError(order)
    return None


async def _serve(certificate: str, key: str) -> None:
    server = Server()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", lambda request: _handle(server, request))
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    port = runner.addresses[0][1]
    server.issuer = f"https://localhost:{port}/shop"
    orders = asyncio.StreamReader(limit=2**22)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(orders), sys.stdin
    )
    sys.stdout.write(f"{json.dumps(port)}\n")
    sys.stdout.flush()
    while line := await orders.readline():
        sys.stdout.write(f"{json.dumps(_obey(server, json.loads(line)))}\n")
        sys.stdout.flush()


@dataclass
class Running:
    """A server that runs; its client is `shop`, by the secret that is here."""

    port: int
    process: subprocess.Popen[str] = field(repr=False)
    secret: str = "s3cr+t /:%&"

    @property
    def issuer(self) -> str:
        return f"https://localhost:{self.port}/shop"

    def url(self, name: str) -> str:
        """Return the URL of one of `PATHS`."""
        path = next(path for path, known in PATHS.items() if known == name)
        return f"https://localhost:{self.port}{path}"

    def tell(self, **order: Any) -> Any:
        """Have it do something; return its answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{json.dumps(order)}\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def behave(self, method: str = "client_secret_basic", **settings: Any) -> None:
        """Begin anew with these settings, and a client that authenticates so."""
        self.tell(settings=settings)
        self.tell(client=["shop", self.secret, method])
        self.tell(log=True)

    def calls(self) -> list[dict[str, Any]]:
        """Return what was asked since the last time."""
        found: list[dict[str, Any]] = self.tell(log=True)
        return found


@contextmanager
def running_server(pair: KeyPair) -> Iterator[Running]:
    """Start a server with a certificate; stop it on leaving."""
    with subprocess.Popen(
        [sys.executable, __file__, str(pair.certificate), str(pair.key)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    ) as process:
        try:
            assert process.stdout is not None
            running = Running(json.loads(process.stdout.readline()), process)
            running.behave()
            yield running
        finally:
            process.terminate()
            process.wait(timeout=20)


if __name__ == "__main__":
    asyncio.run(_serve(*sys.argv[1:]))
