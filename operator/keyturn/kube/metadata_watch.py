"""A watch that sees metadata only: a complete list first, then every change.

kopf can neither ask for PartialObjectMetadata nor tell that it listed everything. The data of a
Secret never reaches this process by this way, and memory does not grow with it.
"""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import aiohttp

from keyturn.domain.errors import ClusterUnavailableError, KeyturnError, NotFoundError
from keyturn.kube.client import Json, KubeClient, query
from keyturn.observability.failures import describe

logger = logging.getLogger(__name__)

METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
PAGE = 500
SILENCE = 90.0
"""Seconds without a line after which a watch is taken for dead; a bookmark comes each minute."""
FIRST_DELAY, LAST_DELAY = 0.2, 15.0
STEADY = 30.0
"""After so many seconds of watching, the next delay is a first one again."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """The metadata of one object, as it was seen."""

    namespace: str
    name: str
    uid: str
    resource_version: int
    labels: dict[str, str]
    annotations: dict[str, str]
    present: bool = True

    @classmethod
    def of(cls, item: Json, *, present: bool = True) -> "Sighting":
        metadata: dict[str, Any] = item["metadata"]
        return cls(
            namespace=metadata.get("namespace", ""),
            name=metadata["name"],
            uid=metadata["uid"],
            resource_version=int(metadata["resourceVersion"]),
            labels=metadata.get("labels") or {},
            annotations=metadata.get("annotations") or {},
            present=present,
        )


class MetadataWatch:
    """Follows all objects of one path; calls back in order, from one task.

    `on_listed` gets every object of a complete list and the list's resource version; `on_change`
    each later one. The list is
    repeated whenever the stream cannot be continued, so that nothing is missed.
    """

    def __init__(
        self,
        kube: KubeClient,
        path: str,
        *,
        selector: str | None = None,
        on_listed: Callable[[list[Sighting], int], Awaitable[None]],
        on_change: Callable[[Sighting], None],
        silence: float = SILENCE,
    ) -> None:
        self._kube = kube
        self._path = path
        self._selector = selector
        self._on_listed = on_listed
        self._on_change = on_change
        self._silence = silence
        self._version = ""
        self.listed = asyncio.Event()
        self.heard_at = time.monotonic()
        """When the last line came, by the monotonic clock: a bookmark counts."""

    async def run(self) -> None:
        """Follow until cancelled; every trouble is waited out."""
        delay = FIRST_DELAY
        while True:
            began = time.monotonic()
            end = await self._follow()
            if time.monotonic() - began > STEADY:
                delay = FIRST_DELAY
            logger.info("watch of %s: %s; again in %.1f s", self._path, end, delay)
            await asyncio.sleep(delay)
            delay = min(delay * 2, LAST_DELAY)

    async def _follow(self) -> str:
        """Follow until the stream ends; say what ended it."""
        try:
            if not self._version:
                await self._list()
            await self._watch()
        except KeyturnError as error:
            return error.message
        # What an apiserver has never sent, or a fault of our own: an eye that closes for ever is
        # worse than one that looks again.
        except Exception as error:  # noqa: BLE001
            self._version = ""
            logger.critical("watch of %s failed: %s", self._path, describe(error))
            return "it failed unexpectedly"
        return "the stream ended"

    async def _list(self) -> None:
        found: list[Sighting] = []
        token = ""
        while True:
            page = await self._kube.request(
                "GET",
                self._path
                + query(labelSelector=self._selector, limit=PAGE, **{"continue": token or None}),
                accept=METADATA_LIST,
            )
            found.extend(Sighting.of(item) for item in page.get("items") or ())
            token = page["metadata"].get("continue", "")
            if not token:
                break
        self.heard_at = time.monotonic()
        version: str = page["metadata"]["resourceVersion"]
        await self._on_listed(found, int(version))
        self._version = version
        self.listed.set()

    async def _watch(self) -> None:
        path = self._path + query(
            watch="true",
            allowWatchBookmarks="true",
            labelSelector=self._selector,
            resourceVersion=self._version,
        )
        try:
            async with self._kube.stream(path, accept=METADATA) as lines:
                await self._read(lines)
        except ClusterUnavailableError as error:
            if getattr(error, "status", 0) == HTTPStatus.GONE:
                self._version = ""
            raise
        except NotFoundError:
            self._version = ""
            raise

    async def _read(self, lines: aiohttp.StreamReader) -> None:
        """Take line after line, until the stream ends or falls silent."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._silence) as limit:
                while line := await lines.readline():
                    limit.reschedule(loop.time() + self._silence)
                    self.heard_at = time.monotonic()
                    self._take(line)
        except TimeoutError:
            raise ClusterUnavailableError("the watch fell silent") from None

    def _take(self, line: bytes) -> None:
        try:
            event = json.loads(line)
            kind, item = event["type"], event["object"]
        except (ValueError, KeyError, TypeError):
            raise ClusterUnavailableError("a line of the watch was cut off") from None
        if kind == "ERROR":
            self._version = ""
            raise ClusterUnavailableError(f"the watch ended with code {item.get('code')}")
        if kind != "BOOKMARK":
            self._on_change(Sighting.of(item, present=kind != "DELETED"))
        self._version = item["metadata"]["resourceVersion"]
