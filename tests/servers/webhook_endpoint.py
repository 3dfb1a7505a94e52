"""An endpoint for the webhook rotator: real HTTPS, users of its own, every call checked.

It shares no code with Keyturn. It checks signatures as the Standard Webhooks specification says
and holds each call, and each proper answer of its own, against docs/webhook-rotator.openapi.yaml.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import secrets
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from listening import listening
from openapi import OpenAPI
from servers.certificates import Authority

CONTRACT: Final = OpenAPI(Path(__file__).parents[2] / "docs" / "webhook-rotator.openapi.yaml")
TOLERANCE: Final = 300

Call = dict[str, Any]
Users = dict[str, list[str]]
Misbehaviour = Callable[[web.Request, web.Response], Awaitable[web.StreamResponse]]


@dataclass
class Endpoint:
    """The state of an endpoint: its users with the passwords that they may log in by."""

    keys: list[bytes]
    coexists: bool = False
    port: int = 0
    users: Users = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    issued: dict[str, str] = field(default_factory=dict)
    misbehave: Misbehaviour | None = None

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}/rotate"

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.raw.append(body)
        self.headers.append(dict(request.headers))
        if not self.is_signed(request, body):
            return web.json_response({"code": "BadSignature"}, status=401)
        call: Call = json.loads(body)
        self.calls.append(call)
        self.faults += CONTRACT.faults_of_request("/", request.headers, call)
        if request.headers["webhook-id"] != call["id"]:
            self.faults.append("the id in the header is another than that in the body")
        status, answer = self.act(call)
        self.faults += CONTRACT.faults_of_answer("/", status, answer)
        response = (
            web.Response(status=status)
            if answer is None
            else web.json_response(answer, status=status)
        )
        return response if self.misbehave is None else await self.misbehave(request, response)

    def is_signed(self, request: web.Request, body: bytes) -> bool:
        """Check one of the signatures against one of the keys, and the time of signing."""
        when = request.headers["webhook-timestamp"]
        if abs(time.time() - int(when)) > TOLERANCE:
            return False
        signed = f"{request.headers['webhook-id']}.{when}.".encode() + body
        given = request.headers["webhook-signature"].split(" ")
        return any(
            hmac.compare_digest(
                one.encode(), b"v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256))
            )
            for key in self.keys
            for one in given
        )

    def act(self, call: Call) -> tuple[int, Call | None]:
        match call["step"]:
            case "set":
                return self.set(call["pending"]["values"])
            case "test":
                user = call["credential"]["values"]
                accepted = user["password"] in self.users.get(user["username"], [])
                return 200, {"result": "accepted" if accepted else "refused"}
            case "retire":
                self.retire(call["old"]["values"], [kept["values"] for kept in call["kept"]])
                return 200, {}
            case _:
                made = self.issued.setdefault(call["rotationId"], secrets.token_urlsafe(24))
                passwords = self.users[call["current"]["values"]["username"]]
                passwords += [made] if made not in passwords else []
                return 200, {"values": {"password": made}}

    def set(self, wanted: Call) -> tuple[int, Call | None]:
        if wanted["username"].startswith("forbidden"):
            return 403, {"code": "NotYours", "message": f"what about {wanted['password']}?"}
        before = self.users.get(wanted["username"], []) if self.coexists else []
        self.users[wanted["username"]] = [*dict.fromkeys([*before, wanted["password"]])]
        return 204, None

    def retire(self, old: Call, kept: list[Call]) -> None:
        if old in kept:
            self.faults.append("the same credential is retired and kept")
        passwords = self.users.get(old["username"], [])
        if old["password"] in passwords:
            passwords.remove(old["password"])


@asynccontextmanager
async def serving(endpoint: Endpoint, authority: Authority) -> AsyncIterator[Endpoint]:
    """Serve an endpoint on a free port of loopback."""
    pair = authority.issue("endpoint")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    application = web.Application()
    application.router.add_post("/rotate", endpoint.handle)
    async with listening(application, ssl_context=context) as endpoint.port:
        yield endpoint


async def lose_the_reply(request: web.Request, response: web.Response) -> web.StreamResponse:
    """Act, and then cut the connection instead of answering."""
    assert request.transport is not None
    request.transport.abort()
    await asyncio.sleep(0)
    return response
