"""/livez and /readyz, for the kubelet: problems in words, and never a value."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus

from aiohttp import web

from keyturn.domain.errors import UnavailableError
from keyturn.observability import failures

logger = logging.getLogger(__name__)

Problems = Callable[[], Sequence[str]]
"""Lists what is wrong now; nothing: all is well."""


@asynccontextmanager
async def serving_health(
    address: str, port: int, *, live: Problems, ready: Problems
) -> AsyncIterator[int]:
    """Answer the probes inside the `with`, which is given the port.

    Raises:
        UnavailableError: the address or the port cannot be had.
    """
    runner = web.AppRunner(health_application(live, ready), access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, address, port).start()
        except OSError as error:
            raise UnavailableError(
                f"cannot listen on {address} port {port} for probes: {error.strerror or error};"
                " set KEYTURN_HEALTH_ADDRESS or KEYTURN_HEALTH_PORT"
            ) from error
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


def health_application(live: Problems, ready: Problems) -> web.Application:
    """Make the application of the two probes."""
    app = web.Application(client_max_size=1024)
    app.add_routes([web.get("/livez", _probe(live)), web.get("/readyz", _probe(ready))])
    return app


def _probe(problems: Problems) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(_: web.Request) -> web.Response:
        found = _look(problems)
        if not found:
            return web.Response(text="ok\n")
        return web.Response(text="\n".join([*found, ""]), status=HTTPStatus.SERVICE_UNAVAILABLE)

    return answer


def _look(problems: Problems) -> Sequence[str]:
    try:
        return problems()
    except Exception as error:  # noqa: BLE001 - a probe that fails is a problem, told without text
        logger.error("a probe failed: %s", failures.describe(error))  # noqa: TRY400 - no text
        return ["the probe failed"]
