"""The HTTP server of the local API."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path

from aiohttp import web

from keyturn.api import peers
from keyturn.api.errors import UNEXPECTED, Json, to_answer
from keyturn.api.routes import ROUTES, Asked, Route, Served
from keyturn.api.unix_socket import listening
from keyturn.domain.errors import (
    DeniedError,
    InvalidParameterError,
    KeyturnError,
    NotFoundError,
    UnavailableError,
    ValueTooLargeError,
)
from keyturn.domain.secret import SecretName
from keyturn.observability import failures

logger = logging.getLogger(__name__)

MAX_BODY_BYTES = 2 * 1024 * 1024
STOP_SECONDS = 5.0
RETRY_SECONDS = "2"

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(path: Path, served: Served) -> AsyncIterator[None]:
    """Answer calls on the socket inside the `with`; calls under way at its end are finished.

    Raises:
        StoreInUseError, InvalidParameterError, UnavailableError: see `unix_socket.listening`.
    """
    runner = web.AppRunner(application(served), access_log=None, shutdown_timeout=STOP_SECONDS)
    with listening(path) as listener:
        await runner.setup()
        try:
            await web.SockSite(runner, listener).start()
            yield
        finally:
            await runner.cleanup()


def application(served: Served, *, uids: frozenset[int] | None = None) -> web.Application:
    """Make the application that answers the processes of these users alone."""
    allowed = peers.own_and_root() if uids is None else uids
    app = web.Application(
        middlewares=[_translating_errors, _refusing_others(allowed)], client_max_size=MAX_BODY_BYTES
    )
    app.add_routes([web.route(r.method, r.template, _handler(r, served)) for r in ROUTES])
    return app


def _handler(route: Route, served: Served) -> _Handler:
    async def answer(request: web.Request) -> web.StreamResponse:
        found = request.match_info
        asked = Asked(
            name=SecretName(found.get("namespace", ""), found.get("name", "")),
            namespace=request.query.get("namespace"),
            body=await request.read(),
        )
        return _response(HTTPStatus.OK, await route.endpoint(served, asked))

    return answer


def _refusing_others(allowed: frozenset[int]) -> Callable[..., Awaitable[web.StreamResponse]]:
    @web.middleware
    async def refuse_others(request: web.Request, handler: _Handler) -> web.StreamResponse:
        transport = request.transport
        connection = None if transport is None else transport.get_extra_info("socket")
        if connection is None or peers.uid_of_peer(connection) not in allowed:
            raise DeniedError("only root and the operator's own user may call it")
        return await handler(request)

    return refuse_others


@web.middleware
async def _translating_errors(request: web.Request, handler: _Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except KeyturnError as error:
        return _response(*to_answer(error))
    except web.HTTPException as error:
        return _response(*to_answer(_error_of(error)))
    except asyncio.CancelledError:
        raise
    except Exception as error:  # noqa: BLE001 - aiohttp would log it with its text
        logger.error(  # noqa: TRY400 - the same text in every answer; the log has the place
            "%s %s failed: %s", request.method, _template(request), failures.describe(error)
        )
        return _response(*to_answer(UNEXPECTED))


def _error_of(error: web.HTTPException) -> KeyturnError:
    """Word what the library refused itself; its own texts quote the request."""
    match error.status:
        case HTTPStatus.NOT_FOUND:
            return NotFoundError("there is no such call; is the operator of another release?")
        case HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            return ValueTooLargeError(f"a request may have {MAX_BODY_BYTES} bytes at most")
        case HTTPStatus.METHOD_NOT_ALLOWED:
            return InvalidParameterError("this call has another method")
        case status if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return UnavailableError("the request could not be answered")
        case _:
            return InvalidParameterError("the request could not be read")


def _template(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return "a call" if resource is None else resource.canonical


def _response(status: HTTPStatus, body: Json) -> web.Response:
    headers = {"Cache-Control": "no-store"}
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = RETRY_SECONDS
    return web.json_response(body, status=status, headers=headers)
