"""Facts of the cluster that an answer must not be older than its question."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from http import HTTPStatus
from typing import Generic, TypeVar

from keyturn.domain.errors import ClusterUnavailableError, DeniedError, NotFoundError
from keyturn.domain.secret import SecretName
from keyturn.kube.client import Json, KubeClient
from keyturn.kube.managed_secrets import CRD, collection
from keyturn.kube.metadata_watch import METADATA

T = TypeVar("T")

PAUSE = 1.0
"""Seconds between two looks for a CRD that is missing."""

CLUSTER_NAMESPACE = "kube-system"
AUTHOR_POLICY, ROTATOR_POLICY = "keyturn-author", "keyturn-rotators"
WORKLOAD_POLICY = "keyturn-workloads"
_ADMISSION = "/apis/admissionregistration.k8s.io/v1"


class Coalesced(Generic[T]):
    """Joins questions: those that wait for the start of the next one share its answer.

    An answer that was under way when the question came is not good enough: it may be older.
    """

    def __init__(self, ask: Callable[[str], Awaitable[T]]) -> None:
        self._ask = ask
        self._next: dict[str, asyncio.Task[T]] = {}
        self._turns: dict[str, asyncio.Lock] = {}

    async def get(self, subject: str) -> T:
        """Ask about a subject; a question that has not been sent yet is shared."""
        task = self._next.get(subject)
        if task is None:
            task = asyncio.create_task(self._turn(subject))
            # Once all who asked are cancelled, its failure is of no interest: asyncio would log it.
            task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
            self._next[subject] = task
        return await asyncio.shield(task)

    async def _turn(self, subject: str) -> T:
        lock = self._turns.setdefault(subject, asyncio.Lock())
        async with lock:
            del self._next[subject]
            try:
                return await self._ask(subject)
            finally:
                if subject not in self._next:
                    self._turns.pop(subject, None)


class ClusterFacts:
    """What the reconciler has to know of the cluster around a ManagedSecret."""

    def __init__(self, kube: KubeClient) -> None:
        self._kube = kube
        self._namespaces = Coalesced(self._namespace_uid)
        self._crds = Coalesced(self._crd_uid)
        self._known_crd_uid = ""
        self._bindings = Coalesced(self._bound_since)

    async def cluster_uid(self) -> str:
        """Return the UID of the namespace kube-system, which names the cluster."""
        return await self._namespace_uid(CLUSTER_NAMESPACE)

    async def namespace_uid(self, namespace: str) -> str:
        """Raises: ObjectNotFoundError."""
        return await self._namespaces.get(namespace)

    async def crd_uid(self) -> str | None:
        """Return the UID of our CRD; None when it is missing or being deleted."""
        return await self._crds.get(CRD)

    async def known_crd_uid(self) -> str:
        """Return the UID of our CRD as it was last seen. Raises: ClusterUnavailableError."""
        if not self._known_crd_uid and await self.crd_uid() is None:
            raise ClusterUnavailableError(f"the CRD {CRD} is not installed; apply crds/ first")
        return self._known_crd_uid

    async def served(self) -> None:
        """Wait until the cluster serves ManagedSecrets: the CRD may come after the operator."""
        while not await self._is_served():  # noqa: ASYNC110 - the event is in the cluster
            await asyncio.sleep(PAUSE)

    async def _is_served(self) -> bool:
        try:
            return await self.crd_uid() is not None
        except ClusterUnavailableError:
            return False
        except DeniedError:
            # Nobody may tell; whoever waits for the kind has to try.
            return True

    async def author_checked(self, name: SecretName) -> bool:
        """Tell whether the author of a ManagedSecret was checked when it was made.

        The policy looks at what is written while it is bound. What stood there before was written
        by nobody knows whom, and stays so when the policy comes.
        """
        bound_since = await self._bindings.get(AUTHOR_POLICY)
        if bound_since is None:
            return False
        answer = await self._kube.request(
            "GET", f"{collection(name.namespace)}/{name.name}", accept=METADATA
        )
        return _made_at(answer) > bound_since

    async def rotator_author_checked(self, rotator: Json) -> bool:
        """Tell the same of a Rotator or ClusterRotator, as the apiserver gave it."""
        bound_since = await self._bindings.get(ROTATOR_POLICY)
        return bound_since is not None and _made_at(rotator) > bound_since

    async def workloads_are_caged(self) -> bool:
        """Tell whether a policy keeps this operator from more of workloads than restarts."""
        return await self._bindings.get(WORKLOAD_POLICY) is not None

    async def _namespace_uid(self, name: str) -> str:
        answer = await self._kube.request("GET", f"/api/v1/namespaces/{name}", accept=METADATA)
        return str(answer["metadata"]["uid"])

    async def _crd_uid(self, name: str) -> str | None:
        path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}"
        try:
            crd = await self._kube.request("GET", path)
        except NotFoundError:
            return None
        if "deletionTimestamp" in crd["metadata"] or not _is(crd, "Established"):
            return None
        self._known_crd_uid = str(crd["metadata"]["uid"])
        return self._known_crd_uid

    async def _bound_since(self, name: str) -> datetime | None:
        """Tell since when a policy is enforced everywhere; None if it is not."""
        try:
            binding = await self._kube.request(
                "GET", f"{_ADMISSION}/validatingadmissionpolicybindings/{name}"
            )
            policy = await self._kube.request(
                "GET", f"{_ADMISSION}/validatingadmissionpolicies/{name}"
            )
        except (NotFoundError, DeniedError):
            return None
        if not _denies(binding["spec"], name) or policy["spec"].get("failurePolicy") == "Ignore":
            return None
        return max(_made_at(binding), _made_at(policy))


def _denies(binding: Json, policy: str) -> bool:
    """Tell whether a binding lets a policy refuse, in every namespace."""
    return (
        binding.get("policyName") == policy
        and "Deny" in (binding.get("validationActions") or ())
        and not binding.get("matchResources")
    )


def _made_at(resource: Json) -> datetime:
    return datetime.fromisoformat(resource["metadata"]["creationTimestamp"])


def _is(resource: Json, condition: str) -> bool:
    conditions = resource.get("status", {}).get("conditions") or []
    return any(c["type"] == condition and c["status"] == "True" for c in conditions)


def wait_hint(error: ClusterUnavailableError) -> float:
    """Tell how many seconds the apiserver asked to wait; 0 if it did not say."""
    throttled = getattr(error, "status", 0) == HTTPStatus.TOO_MANY_REQUESTS
    return max(float(getattr(error, "retry_after", 0.0)), 1.0 if throttled else 0.0)
