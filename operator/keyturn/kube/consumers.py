"""Read who uses native Secrets in a namespace: live, page by page, each reduced at once to facts.

Bodies of pods and workloads are never kept: they may hold values that somebody wrote in the open.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import replace
from typing import Any

from keyturn.domain.consumers import (
    Inventory,
    OtherConsumer,
    RunningPod,
    Via,
    Workload,
    WorkloadRef,
)
from keyturn.domain.errors import DeniedError, NotFoundError
from keyturn.kube.client import JSON, KubeClient, query
from keyturn.kube.facts import Coalesced
from keyturn.kube.metadata_watch import METADATA_LIST, PAGE
from keyturn.kube.pods import Owner, PodFacts, owner_of, running_pod
from keyturn.kube.workloads import REPLICA_SETS, WORKLOADS, Digest, Resource, workload

Json = Mapping[str, Any]


RECENT = 1.5
"""Seconds for which the facts of a namespace are kept, from when their reading began.

Less than the pause after which a change wakes those who ask: what was read before it will not do.
"""


QUICK = 0.2
"""Seconds; how long a reading took is remembered where it was more."""

_PODS = Resource("api/v1", "pods")
_SERVICE_ACCOUNTS = Resource("api/v1", "serviceaccounts")
_INGRESSES = Resource("apis/networking.k8s.io/v1", "ingresses")
_OWNED = {"ReplicaSet": REPLICA_SETS, "Job": WORKLOADS["Job"]}
"""The kinds between a pod and its workload."""


class ConsumerReader:
    """Reads the consumers of one namespace; those who ask at the same time share a reading."""

    def __init__(self, kube: KubeClient, digest: Digest) -> None:
        self._kube = kube
        self._digest = digest
        self._running = Coalesced(self._read_running)
        self._recent: dict[str, Inventory] = {}
        self._slow: dict[str, float] = {}

    async def running(self, namespace: str, *, recent: bool = False) -> Inventory:
        """Read the pods that run, and the workloads of those that use a Secret.

        With `recent` a reading of the last second will do, so that the many who are woken by one
        event cost one reading. Else it is not older than the question.

        Raises:
            DeniedError: one of the kinds may not be read; the message names it.
            ClusterUnavailableError: the apiserver does not answer.
        """
        if recent and namespace in self._recent:
            return self._recent[namespace]
        return await self._running.get(namespace)

    def took(self, namespace: str) -> float:
        """Tell how many seconds the last reading of `running` took; 0 if it was quick."""
        return self._slow.get(namespace, 0.0)

    async def all(self, namespace: str) -> Inventory:
        """Read the workloads without pods, Ingresses and ServiceAccounts too.

        Raises:
            DeniedError, ClusterUnavailableError: as `running`.
        """
        pods = await self._pods(namespace)
        return Inventory(
            namespace,
            pods,
            await self._workloads(namespace, WORKLOADS),
            (*await self._ingresses(namespace), *await self._service_accounts(namespace)),
        )

    async def _read_running(self, namespace: str) -> Inventory:
        loop = asyncio.get_running_loop()
        began = loop.time()
        pods = await self._pods(namespace)
        kinds = {pod.workload.kind for pod in pods if pod.uses}
        found = Inventory(namespace, pods, await self._workloads(namespace, kinds))
        took = loop.time() - began
        if took < RECENT:
            self._recent[namespace] = found
            loop.call_at(began + RECENT, self._forget, found)
        self._slow.pop(namespace, None)
        if took > QUICK:
            self._slow[namespace] = took
        return found

    def _forget(self, found: Inventory) -> None:
        if self._recent.get(found.namespace) is found:
            del self._recent[found.namespace]

    async def _pods(self, namespace: str) -> tuple[RunningPod, ...]:
        found: list[PodFacts] = []
        async for body in self._list(_PODS, namespace):
            facts = running_pod(body)
            if facts is not None:
                found.append(facts)
        kinds = {facts.owner.kind for facts in found if facts.owner is not None and facts.pod.uses}
        owners: dict[Owner, Owner] = {}
        for kind in kinds & _OWNED.keys():
            async for body in self._list(_OWNED[kind], namespace, accept=METADATA_LIST):
                owner = owner_of(body["metadata"])
                if owner is not None:
                    owners[Owner(kind, body["metadata"]["name"])] = owner
        return tuple(_owned(facts, owners) for facts in found)

    async def _workloads(self, namespace: str, kinds: Iterable[str]) -> tuple[Workload, ...]:
        found: list[Workload] = []
        for kind in sorted(WORKLOADS.keys() & set(kinds)):
            try:
                bodies = self._list(WORKLOADS[kind], namespace)
                outermost = (body async for body in bodies if _is_outermost(body))
                found.extend([workload(kind, body, self._digest) async for body in outermost])
            except NotFoundError:
                # A kind that this cluster does not have: Rollouts are Argo's.
                continue
        return tuple(found)

    async def _ingresses(self, namespace: str) -> list[OtherConsumer]:
        found = []
        async for body in self._list(_INGRESSES, namespace):
            named = {tls.get("secretName") for tls in body["spec"].get("tls") or ()} - {None, ""}
            if named:
                ref = WorkloadRef("Ingress", body["metadata"]["name"])
                found.append(
                    OtherConsumer(ref, {name: frozenset({Via.INGRESS_TLS}) for name in named})
                )
        return found

    async def _service_accounts(self, namespace: str) -> list[OtherConsumer]:
        found = []
        async for body in self._list(_SERVICE_ACCOUNTS, namespace):
            uses: dict[str, set[Via]] = {}
            for field, way in (
                ("secrets", Via.SERVICE_ACCOUNT),
                ("imagePullSecrets", Via.IMAGE_PULL_SECRETS),
            ):
                for reference in body.get(field) or ():
                    # The apiserver takes references without one.
                    if name := reference.get("name"):
                        uses.setdefault(name, set()).add(way)
            if uses:
                ref = WorkloadRef("ServiceAccount", body["metadata"]["name"])
                frozen = {name: frozenset(ways) for name, ways in uses.items()}
                found.append(OtherConsumer(ref, frozen))
        return found

    async def _list(
        self, resource: Resource, namespace: str, *, accept: str = JSON
    ) -> AsyncIterator[Json]:
        token = ""
        while True:
            path = resource.path(namespace) + query(limit=PAGE, **{"continue": token or None})
            try:
                page = await self._kube.request("GET", path, accept=accept)
            except DeniedError:
                raise DeniedError(
                    f"the operator may not list {resource.plural} in {namespace}; apply rbac/"
                ) from None
            for item in page.get("items") or ():
                yield item
            token = page["metadata"].get("continue", "")
            if not token:
                return


def _is_outermost(body: Json) -> bool:
    owner = owner_of(body["metadata"])
    return owner is None or owner.kind not in WORKLOADS


def _owned(facts: PodFacts, owners: Mapping[Owner, Owner]) -> RunningPod:
    if facts.owner is None or facts.owner not in owners:
        return facts.pod
    return replace(facts.pod, workload=WorkloadRef(*owners[facts.owner]))
