"""Every call of the local API: its method, its path, and what answers it.

The CLI calls a route over the socket, or, when it has opened the store itself, directly: so both
ways give the same answer.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from keyturn import __version__
from keyturn.api import schemas
from keyturn.domain.errors import InvalidError, InvalidParameterError, UnavailableError
from keyturn.domain.payload import SecretValue
from keyturn.domain.secret import Secret, SecretName

if TYPE_CHECKING:
    # A CLI that talks to an operator does not load what the operations need: it starts in a third
    # of the time.
    from keyturn.services.consumers.inventory import Consumers
    from keyturn.services.operations import Changed, Operations

Json = dict[str, Any]

ExportKey = Callable[[], SecretValue]
"""Gives the text form of the default key, a copy that its receiver zeroes."""


@dataclass(frozen=True, slots=True)
class Served:
    """What the calls are answered from.

    No `export_key` where the key cannot be given away, no `consumers` where no operator runs.
    """

    operations: "Operations"
    export_key: ExportKey | None = None
    consumers: "Consumers | None" = None


_NO_NAME = SecretName("", "")


@dataclass(frozen=True, slots=True)
class Asked:
    """One call: the secret that it names, or the namespace that it is about, and its body."""

    name: SecretName = _NO_NAME
    namespace: str | None = None
    body: bytes = b""


Endpoint = Callable[[Served, Asked], Awaitable[Json]]


@dataclass(frozen=True, slots=True)
class Route:
    """A call by its method and its path."""

    method: str
    template: str
    endpoint: Endpoint

    def path(self, asked: Asked) -> str:
        """Write the path of a call, each part of it quoted."""
        name = asked.name
        path = self.template.format(
            namespace=quote(name.namespace, safe=""), name=quote(name.name, safe="")
        )
        query = {} if asked.namespace is None else {"namespace": asked.namespace}
        return f"{path}?{urlencode(query)}" if query else path


async def _list(served: Served, asked: Asked) -> Json:
    found = await served.operations.list(asked.namespace)
    return {"items": [schemas.secret_document(secret) for secret in found]}


async def _describe(served: Served, asked: Asked) -> Json:
    secret = await served.operations.find(asked.name)
    outlook = await served.operations.outlook(secret)
    rotation = (
        schemas.outlook_document(outlook.spec, outlook.journal, outlook.next_time, outlook.waiting)
        if outlook is not None
        else None
    )
    return _described(served, secret) | {"rotation": rotation}


async def _history(served: Served, asked: Asked) -> Json:
    secret = await served.operations.find(asked.name)
    versions = [schemas.version_document(secret, version) for version in secret.versions]
    name = {"namespace": secret.name.namespace, "name": secret.name.name}
    return name | {"items": versions[::-1]}


async def _get(served: Served, asked: Asked) -> Json:
    version, stage, reveal = schemas.read_get(asked.body)
    chosen = await served.operations.get(asked.name, version=version, stage=stage, reveal=reveal)
    if chosen.payload is None:
        return schemas.chosen_document(chosen.secret, chosen.number, None)
    with chosen.payload as payload:
        return schemas.chosen_document(chosen.secret, chosen.number, payload)


async def _put(served: Served, asked: Asked) -> Json:
    with schemas.read_put(asked.body) as given:
        return _changed(served, await served.operations.put(asked.name, given))


async def _rollback(served: Served, asked: Asked) -> Json:
    number, by, force = schemas.read_rollback(asked.body)
    changed = await served.operations.rollback(asked.name, number, by=by, force=force)
    return _changed(served, changed)


async def _rotate(served: Served, asked: Asked) -> Json:
    by, token, force = schemas.read_rotate(asked.body)
    await served.operations.rotate(asked.name, by=by, token=token, force=force)
    return await _rotations(served, asked)


async def _cancel(served: Served, asked: Asked) -> Json:
    by, _, _ = schemas.read_rotate(asked.body)
    await served.operations.cancel(asked.name, by=by)
    return await _rotations(served, asked)


async def _rotations(served: Served, asked: Asked) -> Json:
    return schemas.journal_document(asked.name, await served.operations.journal(asked.name))


async def _rotated(served: Served, asked: Asked) -> Json:
    found = await served.operations.rotated(asked.namespace)
    return {
        "items": [schemas.rotated_document(resource) for resource in found.resources],
        "unread": [schemas.unread_document(name, why) for name, why in found.unread.items()],
    }


async def _consumers(served: Served, asked: Asked) -> Json:
    if served.consumers is None:
        raise UnavailableError("no operator runs that could ask the cluster; start keyturn run")
    # Only here, for the same reason as above.
    from keyturn.api.consumer_documents import consumers_document  # noqa: PLC0415

    secret = await served.operations.find(asked.name)
    return consumers_document(secret, await served.consumers.survey(secret))


async def _restore(served: Served, asked: Asked) -> Json:
    return _described(served, await served.operations.restore(asked.name))


async def _purge(served: Served, asked: Asked) -> Json:
    confirmed = schemas.read_purge(asked.body)
    return {"purged": await served.operations.purge(confirmed=confirmed)}


async def _version(_: Served, __: Asked) -> Json:
    return {"version": __version__}


async def _key(served: Served, _: Asked) -> Json:
    if served.export_key is None:
        raise InvalidParameterError(
            "the key is not exported from here: it is in a file that you can copy, or held by a"
            " key provider that never gives it away"
        )
    return schemas.key_document(served.export_key())


def _changed(served: Served, changed: "Changed") -> Json:
    begun = changed.rotation
    told = {"begun": schemas.rotation_document(begun) if begun is not None else None}
    return _described(served, changed.secret) | told


def _described(served: Served, secret: Secret) -> Json:
    try:
        awaiting, problem = list(served.operations.awaited(secret)), ""
    except InvalidError as error:
        # For example a generator whose package is gone; all else can still be told.
        awaiting, problem = [], error.message
    return schemas.description_document(secret, awaiting, problem)


_SECRET = "/v1/secrets/{namespace}/{name}"  # noqa: S105 - a path

LIST = Route("GET", "/v1/secrets", _list)
DESCRIBE = Route("GET", _SECRET, _describe)
HISTORY = Route("GET", f"{_SECRET}/history", _history)
GET = Route("POST", f"{_SECRET}/get", _get)
PUT = Route("POST", f"{_SECRET}/put", _put)
ROLLBACK = Route("POST", f"{_SECRET}/rollback", _rollback)
ROTATE = Route("POST", f"{_SECRET}/rotate", _rotate)
CANCEL = Route("POST", f"{_SECRET}/cancel", _cancel)
ROTATIONS = Route("GET", f"{_SECRET}/rotations", _rotations)
ROTATED = Route("GET", "/v1/rotated", _rotated)
CONSUMERS = Route("GET", f"{_SECRET}/consumers", _consumers)
RESTORE = Route("POST", f"{_SECRET}/restore", _restore)
PURGE = Route("POST", "/v1/purge", _purge)
VERSION = Route("GET", "/v1/version", _version)
KEY = Route("GET", "/v1/key", _key)

ROUTES = (
    *(LIST, DESCRIBE, HISTORY, GET, PUT, ROLLBACK, RESTORE, PURGE, VERSION, KEY),
    *(ROTATE, CANCEL, ROTATIONS, ROTATED, CONSUMERS),
)
