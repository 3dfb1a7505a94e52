"""Makes ManagedSecrets and sees when their Secrets are there, from outside the operator."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from bench.measuring import Sample
from keyturn.kube.client import MERGE_PATCH, KubeClient
from keyturn.kube.connection import Connection
from keyturn.kube.managed_secrets import collection
from keyturn.kube.metadata_watch import MetadataWatch, Sighting
from keyturn_controlplane.cluster import ControlPlane

SENDERS = 16
FORGED = {"data": {"password": "Zm9yZ2Vk"}}
PAUSE = 0.2
LIMIT = 120.0


class Workload:
    """A client of its own: one watch of Secrets, and senders of ManagedSecrets."""

    def __init__(self, control_plane: ControlPlane, namespace: str) -> None:
        self._kube = KubeClient(Connection(control_plane.kubeconfig))
        self._namespace = namespace
        self._sent: dict[str, float] = {}
        self._seen: dict[str, float] = {}
        self._written: dict[tuple[str, int], float] = {}
        self._news = asyncio.Event()
        self._watch: asyncio.Task[None] | None = None
        self._rotation: Mapping[str, Any] | None = None

    async def __aenter__(self) -> Self:
        await self._kube.__aenter__()
        watch = MetadataWatch(
            self._kube,
            self._secrets(),
            on_listed=self._listed,
            on_change=self._note,
        )
        self._watch = asyncio.create_task(watch.run())
        await watch.listed.wait()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._watch is not None:
            self._watch.cancel()
        await self._kube.__aexit__(kind, error, traceback)

    async def create(
        self, count: int, rotation: Mapping[str, Any] | None = None
    ) -> tuple[list[Sample], float]:
        """Create so many at once; return the samples and the seconds until the last Secret."""
        self._rotation = rotation
        began = time.perf_counter()
        names = iter([f"secret-{number:05}" for number in range(count)])

        async def send() -> None:
            for name in names:
                await self._create(name)

        await asyncio.gather(*(send() for _ in range(SENDERS)))
        await self._all_seen()
        return self._samples(), max(self._seen.values()) - began

    async def bare(self, count: int) -> float:
        """Do by hand what an operator must: Secret and status of each; return the seconds.

        Nothing is encrypted, kept or checked. So this is the most that the machine, its apiserver
        and its Python let any operator in Python reach, whatever else they do at the time.
        """
        began = time.perf_counter()
        names = iter([f"bare-{number:05}" for number in range(count)])

        async def send() -> None:
            for name in names:
                await self._create(name)
                await self._project(name)

        await asyncio.gather(*(send() for _ in range(SENDERS)))
        await self._all_seen()
        return time.perf_counter() - began

    async def create_at(self, rate: int, count: int) -> list[Sample]:
        """Create at a fixed rate, whether or not the earlier ones are done."""
        await _at_rate(rate, [f"steady-{number:05}" for number in range(count)], self._create)
        await self._all_seen()
        return self._samples()

    async def put_right_at(self, rate: int, *, delete: bool = False) -> list[Sample]:
        """Edit, or delete, each Secret by hand at a fixed rate; wait until all are as before.

        The time of each is from the moment the change was sent until a watch saw the write that
        was the last: one before it may only have handed the fields over to server-side apply.
        Raises `TimeoutError` when one is not as before in `LIMIT` seconds.
        """
        before, _ = await self._shown()
        changed: dict[str, float] = {}

        async def change(name: str) -> None:
            changed[name] = time.perf_counter()
            if delete:
                await self._kube.request("DELETE", self._secrets(name))
            else:
                await self._kube.request(
                    "PATCH", self._secrets(name), body=FORGED, content_type=MERGE_PATCH
                )

        await _at_rate(rate, list(before), change)
        async with asyncio.timeout(LIMIT):
            last = await self._until_as(before)
        return [Sample(name, self._written[name, last[name]] - at) for name, at in changed.items()]

    async def all_have(self, count: int, *, version: int, pause: float = 0.5) -> None:
        """Wait until so many statuses say that this version is current."""
        while True:
            answer = await self._kube.request("GET", collection(self._namespace))
            statuses = [resource.get("status", {}) for resource in answer["items"]]
            if sum(status.get("currentVersion") == version for status in statuses) == count:
                return
            await asyncio.sleep(pause)

    async def _shown(self) -> tuple[dict[str, Any], dict[str, int]]:
        """The data and the resource version of each Secret."""
        items = (await self._kube.request("GET", self._secrets()))["items"]
        data = {item["metadata"]["name"]: item["data"] for item in items}
        metadata = [item["metadata"] for item in items]
        return data, {each["name"]: int(each["resourceVersion"]) for each in metadata}

    async def _until_as(self, before: Mapping[str, Any]) -> dict[str, int]:
        """Wait until each Secret holds what it held; return the versions, which the watch saw."""
        while True:
            data, versions = await self._shown()
            if data == before and versions.items() <= self._written.keys():
                return versions
            await asyncio.sleep(PAUSE)

    def _secrets(self, name: str = "") -> str:
        return f"/api/v1/namespaces/{self._namespace}/secrets/{name}".rstrip("/")

    async def _create(self, name: str) -> None:
        body: dict[str, Any] = {
            "apiVersion": "keyturn.dev/v1alpha1",
            "kind": "ManagedSecret",
            "metadata": {"name": name, "namespace": self._namespace},
            "spec": {
                "data": [
                    {"key": "username", "value": "orders"},
                    {"key": "password", "generate": {"password": {"length": 32}}},
                ],
                **({"rotation": self._rotation} if self._rotation else {}),
            },
        }
        self._sent[name] = time.perf_counter()
        await self._kube.request("POST", collection(self._namespace), body=body)

    async def _project(self, name: str) -> None:
        secret: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "namespace": self._namespace},
            "data": {"username": "b3JkZXJz", "password": "bm90aGluZyB0aGF0IGlzIHNlY3JldA=="},
        }
        await self._kube.request("POST", self._secrets(), body=secret)
        await self._kube.request(
            "PATCH",
            f"{collection(self._namespace)}/{name}/status",
            body={"status": {"observedGeneration": 1, "currentVersion": 1}},
            content_type=MERGE_PATCH,
        )

    async def _listed(self, found: list[Sighting], _: int) -> None:
        for sighting in found:
            self._note(sighting)

    def _note(self, sighting: Sighting) -> None:
        now = time.perf_counter()
        self._seen.setdefault(sighting.name, now)
        self._written[sighting.name, sighting.resource_version] = now
        self._news.set()

    async def _all_seen(self) -> None:
        while self._sent.keys() - self._seen.keys():
            self._news.clear()
            await asyncio.wait_for(self._news.wait(), 60)

    def _samples(self) -> list[Sample]:
        return [Sample(name, self._seen[name] - sent) for name, sent in self._sent.items()]


async def _at_rate(
    rate: int, names: Sequence[str], send: Callable[[str], Coroutine[Any, Any, None]]
) -> None:
    """Send for so many names in a second, whether or not the earlier ones are answered."""
    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number, name in enumerate(names):
            await asyncio.sleep(max(0.0, began + number / rate - time.perf_counter()))
            group.create_task(send(name))
