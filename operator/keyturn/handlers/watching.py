"""kopf, supervised.

kopf 1.45.2 ends on a truncated line of a watch, on an error in a watch that is not 410, on 5xx
past its retries, and on 404 and 401. So it runs in a thread with a loop of its own and is started
again, with a growing pause; the workers, the store and the probes do not share its fate. Each
start lists all resources anew, so nothing is missed.
"""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import kopf
import uvloop
from kubernetes.aio import client

from keyturn.domain.errors import KeyturnError
from keyturn.handlers.kopf_settings import kopf_settings
from keyturn.handlers.managed_secrets import Heard, register
from keyturn.kube.connection import Connection

logger = logging.getLogger(__name__)

FIRST_PAUSE, LAST_PAUSE = 0.2, 15.0
STEADY = 30.0
"""After so many seconds of running, the next pause is a first one again."""

LONGEST_END = 10.0
"""Seconds that an end may take: kopf itself gives five to a request that waits for a login."""


class KopfWatch:
    """Runs kopf until it is stopped, whatever kopf does; `restarts` counts its ends.

    Kopf looks for the kind once, at its start, so each start waits until it is `served`.
    """

    def __init__(
        self,
        connection: Connection,
        namespaces: Sequence[str],
        heard: Heard,
        served: Callable[[], Awaitable[None]],
    ) -> None:
        self._connection = connection
        self._namespaces = tuple(namespaces)
        self._heard = heard
        self._served = served
        self._stopping = threading.Event()
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None
        self.restarts = 0

    async def run(self) -> None:
        """Supervise until cancelled."""
        loop = asyncio.get_running_loop()
        pause = FIRST_PAUSE
        try:
            while not self._stopping.is_set():
                await self._served()
                began = loop.time()
                await self._one_life(loop)
                self.restarts += 1
                if loop.time() - began > STEADY:
                    pause = FIRST_PAUSE
                logger.info("the watch of kopf ended; again in %.1f s", pause)
                await asyncio.sleep(pause)
                pause = min(pause * 2, LAST_PAUSE)
        finally:
            self._stopping.set()
            self._ending.set()

    def restart(self) -> None:
        """End the present life of kopf, because it has gone deaf; `run` begins the next one."""
        self._ending.set()

    async def _one_life(self, loop: asyncio.AbstractEventLoop) -> None:
        ended = asyncio.Event()
        self._ending = threading.Event()
        ending = self._ending

        def live() -> None:
            try:
                uvloop.run(self._kopf(loop, ending))
            except KeyturnError as error:
                logger.info("kopf cannot start: %s", error.message)
            # kopf ends on what it does not understand with exceptions of any kind.
            except Exception as error:  # noqa: BLE001 - a supervisor outlives whatever it runs
                logger.warning("kopf ended with %s", type(error).__name__)
            finally:
                loop.call_soon_threadsafe(ended.set)

        self._thread = threading.Thread(target=live, name="kopf", daemon=True)
        self._thread.start()
        try:
            await ended.wait()
        finally:
            ending.set()

    async def _kopf(self, loop: asyncio.AbstractEventLoop, ending: threading.Event) -> None:
        asyncio.get_running_loop().set_exception_handler(_note_leftover)
        registry = kopf.OperatorRegistry()
        register(registry, lambda kind, body: _hand_over(loop, self._heard, kind, body, ending))

        async def login(**_: object) -> kopf.ConnectionInfo:
            return await _connection_info(await self._connection.load())

        kopf.on.login(registry=registry)(login)
        try:
            await kopf.operator(
                registry=registry,
                settings=kopf_settings(),
                clusterwide=not self._namespaces,
                namespaces=self._namespaces,
                standalone=True,
                stop_flag=ending,
            )
        finally:
            # kopf left a thread that waits for the flag, and the loop's end waits for that thread:
            # without this line nobody would learn that kopf ended.
            ending.set()

    async def close(self) -> None:
        """Wait until the thread has ended; `run` was cancelled before."""
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, LONGEST_END)


def _hand_over(
    loop: asyncio.AbstractEventLoop,
    heard: Heard,
    kind: str | None,
    body: dict[str, object],
    ending: threading.Event,
) -> None:
    if not ending.is_set():
        loop.call_soon_threadsafe(heard, kind, body)


def _note_leftover(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Note, without its text, what a task of kopf that ended with the others told to nobody."""
    error = context.get("exception")
    logger.info("kopf left a task behind: %s", type(error).__name__ if error else "unfinished")


async def _connection_info(configuration: client.Configuration) -> kopf.ConnectionInfo:
    auth = (await configuration.auth_settings()).get("BearerToken")
    scheme, _, token = str(auth["value"] if auth else "").partition(" ")
    return kopf.ConnectionInfo(
        server=configuration.host,
        ca_path=configuration.ssl_ca_cert,
        scheme=scheme or None,
        token=token or None,
        certificate_path=configuration.cert_file,
        private_key_path=configuration.key_file,
        expiration=None,
    )
