"""Sends events to an HTTP endpoint: TLS verified, no redirect, no proxy, nothing read but a status.

The endpoint is the choice of whoever runs the operator, so it may be anywhere, loopback and the
cluster's own network included.
"""

import asyncio
import logging
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from ipaddress import ip_address
from pathlib import Path

import aiohttp
from yarl import URL

from keyturn.domain.errors import InvalidError, InvalidParameterError, UnavailableError
from keyturn.domain.payload import SecretValue
from keyturn.domain.rotation_event import RotationEvent
from keyturn.domain.webhook_signature import signed_headers
from keyturn.notifications.bodies import Format, body_of

logger = logging.getLogger(__name__)

DEADLINE = 10.0
"""Seconds for a whole call, the connection included."""

MAX_KEY_FILE = 4096
"""The most bytes of the file of the keys."""

_VISIBLE = range(ord("!"), ord("~") + 1)

_IDLE = 2.0
"""Seconds for which a connection is kept for the next event: less than any server keeps it."""

_LATER = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where events go, and how.

    `ca_file` holds the certificates (PEM) that the server's must chain to; None: those of the
    system. `key_file` holds a signing key a line; None: the calls are not signed.
    """

    url: str
    form: Format = Format.CLOUDEVENTS
    ca_file: Path | None = None
    key_file: Path | None = None
    deadline: float = DEADLINE


class EventSink:
    """Delivers to one endpoint. Both files are read anew when they may have changed."""

    def __init__(self, endpoint: Endpoint, cluster_uid: str) -> None:
        """Check the endpoint as far as can be without a call.

        Raises:
            InvalidParameterError: the URL or one of the files cannot be used.
        """
        self._url = _checked(endpoint.url)
        self._endpoint = endpoint
        self._cluster_uid = cluster_uid
        self._session: aiohttp.ClientSession | None = None
        try:
            self._trust()
            self._signature("check", b"")
        except UnavailableError as error:
            raise InvalidParameterError(error.message) from None

    async def deliver(self, event: RotationEvent) -> None:
        """Send an event and wait for the answer.

        Raises:
            UnavailableError: the endpoint may take it later; it may have taken it already.
            InvalidError: the endpoint refuses this event.
        """
        headers, content = body_of(self._endpoint.form, event, self._cluster_uid)
        signature = await asyncio.to_thread(self._signature, str(event.id), content)
        try:
            status = await self._post({**headers, **signature}, content)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            # The next call begins with a new connection, and with the CA file as it is by then.
            await self.close()
            raise UnavailableError(f"{self._url.host} {_trouble(error)}") from None
        _judge(str(self._url.host), status)

    async def close(self) -> None:
        """Close the connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _post(self, headers: Mapping[str, str], content: bytes) -> int:
        if self._session is None:
            self._session = _opened(await asyncio.to_thread(self._trust), self._endpoint.deadline)
        call = self._session.post(self._url, headers=headers, data=content, allow_redirects=False)
        # A body that came along is thrown away; for one that did not nobody waits.
        async with call as answer:
            return answer.status

    def _trust(self) -> ssl.SSLContext:
        file = self._endpoint.ca_file
        try:
            return ssl.create_default_context(cafile=file)
        except OSError:
            # An SSLError is one too.
            raise UnavailableError(f"the CA certificates in {file} cannot be read") from None

    def _signature(self, delivery_id: str, content: bytes) -> Mapping[str, str]:
        if self._endpoint.key_file is None:
            return {}
        keys = _read_keys(self._endpoint.key_file)
        try:
            return signed_headers(keys, delivery_id, int(time.time()), content)
        except InvalidParameterError as error:
            # Of the file, and no fault of the event: it waits until the file is mended.
            raise UnavailableError(error.message) from None
        finally:
            for key in keys:
                key.zero()


def _checked(text: str) -> URL:
    try:
        url = URL(text)
        host = url.host
    except ValueError:
        url, host = URL(), None
    if url.scheme not in ("https", "http") or not host:
        raise InvalidParameterError(
            "KEYTURN_EVENTS_URL must be a URL; write for example https://events.example/keyturn"
        )
    if url.raw_user is not None or url.raw_password is not None or url.raw_fragment:
        raise InvalidParameterError(
            "KEYTURN_EVENTS_URL must not hold a user, a password or a #; "
            "KEYTURN_EVENTS_KEY_FILE lets the endpoint know who calls"
        )
    if url.scheme == "http" and not _is_loopback(host):
        logger.warning("events go to %s by http: who listens there can read and change them", host)
    return url


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _opened(trust: ssl.SSLContext, deadline: float) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=trust, limit=1, keepalive_timeout=_IDLE),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=deadline),
        auto_decompress=False,
        headers={"User-Agent": "keyturn"},
        trust_env=False,
    )


def _read_keys(path: Path) -> Sequence[SecretValue]:
    """Read one key a line; while a key is changed the old and the new one stand there.

    Raises:
        UnavailableError: the file cannot be read, or holds something else than keys.
    """
    content = bytearray(MAX_KEY_FILE + 1)
    try:
        with path.open("rb", buffering=0) as file:
            length = file.readinto(content) or 0
    except OSError as error:
        raise UnavailableError(f"the key file {path} cannot be read: {error.strerror}") from None
    lines = content[:length].splitlines()
    content[:] = bytes(len(content))
    # A key of any bytes could hold the end of a line, and be taken for two.
    if length > MAX_KEY_FILE or not all(_is_visible(line) for line in lines):
        raise UnavailableError(
            f"the key file {path} must hold lines of visible ASCII; write for example whsec_ and "
            "the base64 of 32 random bytes"
        )
    keys = [SecretValue(line) for line in lines if line]
    if not keys:
        raise UnavailableError(f"the key file {path} holds no key")
    return keys


def _is_visible(line: bytearray) -> bool:
    return all(byte in _VISIBLE for byte in line)


def _judge(host: str, status: int) -> None:
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        raise UnavailableError(f"{host} answers with {status}, and redirects are not followed")
    refused = HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR
    if refused and status not in _LATER:
        raise InvalidError(f"{host} answers with {status}")
    raise UnavailableError(f"{host} answers with {status}")


def _trouble(error: Exception) -> str:
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return "has a certificate that is not trusted"
        case aiohttp.ClientSSLError():
            return "agrees on no TLS"
        case TimeoutError():
            return "does not answer in time"
        case aiohttp.ClientConnectorError():
            return "cannot be connected to"
        case _:
            return "gives no whole answer"
