"""The thin asynchronous client: one request, its answer as JSON, errors as ours.

`kubernetes.aio` brings the configuration, the credentials and their renewal, and the verified TLS
context. The requests themselves go straight to its HTTP library: the generated models cost more
time per object than the rest of a reconcile, and they copy the data of a Secret several times.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any, Self
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio import client
from kubernetes.aio.config.config_exception import ConfigException

from keyturn.domain.errors import ClusterUnavailableError, KeyturnError
from keyturn.kube.connection import Connection
from keyturn.kube.errors import error_of

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"

REQUEST_TIMEOUT = aiohttp.ClientTimeout(total=30, sock_connect=5)
STREAM_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=5)

Json = dict[str, Any]


class _Session:
    """A session of the HTTP library; once retired it is closed when its last use ends.

    Who reads from a session that is closed under it is told of nothing, and would wait for ever.
    """

    def __init__(self, http: aiohttp.ClientSession) -> None:
        self._http = http
        self._uses = 0
        self._is_retired = False

    @property
    def is_open(self) -> bool:
        return not self._http.closed

    @asynccontextmanager
    async def used(self) -> AsyncIterator[aiohttp.ClientSession]:
        self._uses += 1
        try:
            yield self._http
        finally:
            self._uses -= 1
            await self._close_if_done()

    async def retire(self) -> None:
        self._is_retired = True
        await self._close_if_done()

    async def close(self) -> None:
        """Close it, whoever reads from it."""
        await self._http.close()

    async def _close_if_done(self) -> None:
        if self._is_retired and not self._uses:
            await self.close()


class KubeClient:
    """Speaks to one apiserver. Use it as an asynchronous context manager."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._configuration = client.Configuration()
        self._session: _Session | None = None
        self._sessions: list[_Session] = []
        self._loading = asyncio.Lock()

    async def __aenter__(self) -> Self:
        await self._renew(None)
        return self

    async def __aexit__(self, *_: object) -> None:
        for session in self._sessions:
            await session.close()

    @property
    def host(self) -> str:
        return str(self._configuration.host)

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: bytearray | bytes | Json | None = None,
        content_type: str = JSON,
        accept: str = JSON,
    ) -> Json:
        """Send one request and return the JSON of the answer.

        Raises:
            KeyturnError: by what the caller should do, see `keyturn.kube.errors`.
        """
        session = self._session
        try:
            return await self._request(method, path, body, content_type, accept)
        except ClusterUnavailableError as error:
            if getattr(error, "status", 0) != HTTPStatus.UNAUTHORIZED:
                raise
        await self._renew(session)
        return await self._request(method, path, body, content_type, accept)

    async def _request(
        self,
        method: str,
        path: str,
        body: bytearray | bytes | Json | None,
        content_type: str,
        accept: str,
    ) -> Json:
        data = json.dumps(body).encode() if isinstance(body, dict) else body
        headers = {"Accept": accept, **await self._credentials()}
        if data is not None:
            headers["Content-Type"] = content_type
        try:
            async with (
                self._open_session().used() as http,
                http.request(
                    method, self.host + path, data=data, headers=headers, timeout=REQUEST_TIMEOUT
                ) as response,
            ):
                content = await response.read()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise _unreachable(error) from None
        if response.status >= HTTPStatus.BAD_REQUEST:
            raise error_of(response.status, content, response.headers)
        return _parsed(content)

    @asynccontextmanager
    async def stream(self, path: str, *, accept: str) -> AsyncIterator[aiohttp.StreamReader]:
        """Open a watch; its lines are read by the caller.

        Raises:
            KeyturnError: as `request`; a connection that breaks later ends the lines or raises
                ClusterUnavailableError.
        """
        session = self._open_session()
        headers = {"Accept": accept, **await self._credentials()}
        try:
            async with (
                session.used() as http,
                http.get(self.host + path, headers=headers, timeout=STREAM_TIMEOUT) as response,
            ):
                if response.status >= HTTPStatus.BAD_REQUEST:
                    error = error_of(response.status, await response.read(), response.headers)
                    if response.status == HTTPStatus.UNAUTHORIZED:
                        await self._renew(session)
                    raise error
                yield response.content
        except KeyturnError:
            raise
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise _unreachable(error) from None

    def _open_session(self) -> _Session:
        if self._session is None:
            raise ClusterUnavailableError("the client is not open")
        return self._session

    async def _credentials(self) -> Mapping[str, str]:
        try:
            settings = await self._configuration.auth_settings()
        except (ConfigException, OSError):
            raise ClusterUnavailableError("the ServiceAccount's token cannot be read") from None
        bearer = settings.get("BearerToken")
        return {"Authorization": bearer["value"]} if bearer and bearer["value"] else {}

    async def _renew(self, stale: _Session | None) -> None:
        """Read the credentials again, once for all requests that failed with the stale session."""
        async with self._loading:
            if self._session is not stale:
                return
            configuration = await self._connection.load()
            rest = client.ApiClient(configuration).rest_client
            # No limit: the workers are one, and a watch, which holds its connection for good, must
            # never keep a request from going out. There is one for each namespace that is followed.
            connector = aiohttp.TCPConnector(ssl=rest.ssl_context, limit=0, keepalive_timeout=60)
            # A proxy of the environment is not for the apiserver, and a netrc has no say here.
            http = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                read_bufsize=2**21,
            )
            self._session = _Session(http)
            self._sessions = [*(each for each in self._sessions if each.is_open), self._session]
            self._configuration = configuration
            if stale is not None:
                await stale.retire()


def _parsed(content: bytes) -> Json:
    try:
        answer = json.loads(content)
    except ValueError:
        raise ClusterUnavailableError("the apiserver's answer was cut off") from None
    if not isinstance(answer, dict):
        raise ClusterUnavailableError("the apiserver's answer is not an object")
    return answer


def _unreachable(error: BaseException) -> ClusterUnavailableError:
    return ClusterUnavailableError(f"the apiserver does not answer ({type(error).__name__})")


def query(**parameters: str | int | None) -> str:
    """Make the query part of a path; parameters that are None are left out."""
    given = {name: value for name, value in parameters.items() if value is not None}
    return f"?{urlencode(given)}" if given else ""
