"""Calls an endpoint for each step; docs/rotators-webhook.md is the contract with its author."""

import hashlib
import re
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

from keyturn.domain.errors import InvalidParameterError
from keyturn.domain.payload import SecretValue
from keyturn.rotators.addresses import check_url
from keyturn.rotators.delegation import FIELDS, ISSUE, RETIRE, SET, TEST, Delegation
from keyturn.rotators.http import Answer, HTTPClient, Reach, open_client
from keyturn.rotators.interface import Credential, Order, Target, Traits
from keyturn.rotators.parameters import Parameters
from keyturn.rotators.webhook.answers import check_done, is_accepted, issued_values
from keyturn.rotators.webhook.delivery import Part, deliver

SPEC_VERSION = "1"
SIGNING_KEY, PREVIOUS_SIGNING_KEY = "signingKey", "previousSigningKey"

_PLAIN, _VERIFIED = "disable", "verifyFull"
_MODE = re.compile(f"{_PLAIN}|{_VERIFIED}")
_ANY = re.compile(r".+")


class WebhookRotator:
    """Hands each step to an HTTP endpoint."""

    def check(self, parameters: Mapping[str, Any]) -> None:
        fields = _fields(parameters)
        url = fields.text("url", _ANY, "url: https://rotate.shop.svc/keyturn")
        check_url(
            "url",
            url,
            plain=_is_plain(fields),
            allow_private=fields.flag("allowPrivateAddresses"),
        )
        fields.flag("issues")
        Delegation.read(fields)

    def traits(self, parameters: Mapping[str, Any]) -> Traits:
        fields = _fields(parameters)
        return Delegation.read(fields).traits(issues=fields.flag("issues"))

    @asynccontextmanager
    async def session(self, target: Target, order: Order) -> AsyncIterator["WebhookSession"]:
        keys = [target.admin[name] for name in _KEYS if name in target.admin]
        if SIGNING_KEY not in target.admin:
            raise InvalidParameterError(
                f"the admin credential has no {SIGNING_KEY}; calls are never made unsigned"
            )
        fields = _fields(target.parameters)
        reach = Reach(
            allow_private=fields.flag("allowPrivateAddresses"),
            plain=_is_plain(fields),
            authority=target.authority,
            timeout=target.timeout,
        )
        async with open_client(reach) as client:
            delegation = Delegation.read(fields)
            yield WebhookSession(client, target.parameters["url"], keys, delegation, order)


class WebhookSession:
    """Calls the endpoint for one rotation; the endpoint holds no lock between the calls."""

    def __init__(
        self,
        client: HTTPClient,
        url: str,
        keys: Sequence[SecretValue],
        delegation: Delegation,
        order: Order,
    ) -> None:
        self._client = client
        self._url = url
        self._keys = keys
        self._delegation = delegation
        self._order = order

    async def accepts(self, credential: Credential) -> bool:
        # Each test is a new question: an endpoint that remembers ids must ask its target anew.
        answer = await self._call(TEST, f"test-{uuid4()}", {"credential": credential})
        with answer.body:
            return is_accepted(answer)

    async def set(self, pending: Credential) -> None:
        known = {"current": self._order.current, "previous": self._order.previous}
        parts = {"pending": pending, **{name: part for name, part in known.items() if part}}
        await self._change(SET, pending.version, parts)

    async def retire(self, old: Credential, kept: Sequence[Credential]) -> None:
        if self._delegation.retires:
            await self._change(RETIRE, old.version, {"old": old, "kept": kept})

    async def holds_lock(self) -> bool:
        return True

    async def issue(self, current: Credential) -> Mapping[str, SecretValue]:
        answer = await self._call(ISSUE, self._id_of(ISSUE, 0), {"current": current})
        with answer.body:
            return issued_values(answer, self._delegation.rotated)

    async def _change(self, step: str, version: int, parts: Mapping[str, Part]) -> None:
        answer = await self._call(step, self._id_of(step, version), parts)
        with answer.body:
            check_done(step, answer)

    def _id_of(self, step: str, version: int) -> str:
        """Name a delivery: the same for the same step of the same rotation, also after a crash."""
        name = f"{self._order.rotation_id}/{step}/{version}"
        return f"{step}-{hashlib.sha256(name.encode()).hexdigest()[:32]}"

    async def _call(self, step: str, delivery_id: str, parts: Mapping[str, Part]) -> Answer:
        head = {
            "specVersion": SPEC_VERSION,
            "id": delivery_id,
            "rotationId": str(self._order.rotation_id),
            "secret": {"id": str(self._order.secret_id)},
            "step": step,
            "strategy": self._order.strategy.value,
            "baseUsername": self._order.base_username,
        }
        headers, body = deliver(head, parts, timestamp=int(time.time()), keys=self._keys)
        with body:
            return await self._client.send("POST", self._url, headers=headers, body=body)


_KEYS = (SIGNING_KEY, PREVIOUS_SIGNING_KEY)


def _fields(parameters: Mapping[str, Any]) -> Parameters:
    return Parameters(parameters, "url", "allowPrivateAddresses", "tls", "issues", *FIELDS)


def _is_plain(fields: Parameters) -> bool:
    tls = fields.inner("tls", "mode")
    return tls.text("mode", _MODE, "mode: verifyFull") == _PLAIN
