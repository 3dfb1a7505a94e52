"""Act on the consumers of ManagedSecrets: restart workloads, and tell pods to read files anew.

What is decided is decided for a whole namespace, in `keyturn.domain.restarting`, from what stands
in the cluster and the store. What is kept in memory makes it wait, never act: after a kill each
secret is reconciled again, and says anew what it wants.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from keyturn.domain.consumers import Inventory, Workload, WorkloadRef
from keyturn.domain.consumers_spec import Action
from keyturn.domain.errors import ClusterUnavailableError, KeyturnError, NotFoundError, RaceError
from keyturn.domain.managed_secret import ManagedSecret
from keyturn.domain.reloader import note_of
from keyturn.domain.restart_marks import annotation_key, was_restarted_for
from keyturn.domain.restarting import Restart, Rules, Wish, decide
from keyturn.domain.secret import Secret, SecretName
from keyturn.kube.kubernetes_events import KubernetesEvents, RestartEvent
from keyturn.services.calendar import Calendar
from keyturn.services.clock import Clock, earliest
from keyturn.services.consumers.inventory import View
from keyturn.services.consumers.memory import NamespaceMemory
from keyturn.services.consumers.reloads import Reloads

logger = logging.getLogger(__name__)

SETTLING = timedelta(seconds=10)
"""So long after the start nothing is restarted: until then most secrets have said what they want,
and those that want the same workload are served by one restart."""

AGAIN = timedelta(seconds=2)
"""After so long a workload that was changed under us is looked at again."""

UNCAGED = (
    "the policy keyturn-workloads is not enforced, which keeps the operator from more of workloads "
    "than restarts; apply rbac/70-workload-policy.yaml"
)


class Patches(Protocol):
    """Writes versions into pod templates; see `keyturn.kube.restarts`."""

    async def restart(
        self, namespace: str, workload: Workload, marks: Mapping[str, str]
    ) -> str: ...


@dataclass(frozen=True, slots=True)
class Acted:
    """What was done, or could not be, for the consumers of one secret.

    `restarting` are those that are restarted for its current version and are not done.
    `unrestarted` says of each workload that could not be restarted why, `untold` of each pod that
    could not be told.
    """

    restarting: frozenset[WorkloadRef] = frozenset()
    unrestarted: Mapping[WorkloadRef, str] = field(default_factory=dict)
    untold: Mapping[str, str] = field(default_factory=dict)


NOTHING = Acted()


class Acting:
    """Restarts and reloads, for all ManagedSecrets."""

    def __init__(  # noqa: PLR0913 - the composition root names each collaborator
        self,
        patches: Patches,
        reloads: Reloads,
        events: KubernetesEvents,
        calendar: Calendar,
        *,
        are_caged: Callable[[], Awaitable[bool]],
        rules: Rules,
        changed: Callable[[SecretName], None],
        clock: Clock,
    ) -> None:
        self._patches = patches
        self._reloads = reloads
        self._events = events
        self._calendar = calendar
        self._are_caged = are_caged
        self._rules = rules
        self._changed = changed
        self._clock = clock
        self._settled_at = clock() + SETTLING
        self._memories: dict[str, NamespaceMemory] = {}

    def asks(self, resource: ManagedSecret) -> bool:
        """Tell whether somebody has to look who uses the targets."""
        return self._rules.reloader or resource.spec.asks_for_consumers

    async def act(self, resource: ManagedSecret, secret: Secret, view: View) -> Acted:
        """Do what is due now in the namespace of a secret, whose consumers were just looked at.

        Raises:
            StoreUnavailableError: the store cannot be read.
        """
        wish = _wish(resource, secret, view)
        if wish is None or view.inventory is None:
            return NOTHING
        memory = self._memories.setdefault(resource.namespace, NamespaceMemory())
        async with memory.turn:
            memory.want(wish, resource.uid)
            inventory = memory.up_to_date(view.inventory, self._clock())
            await self._restart_due(memory, inventory)
        untold = self._reloads.look(resource.name, secret.id, wish, inventory)
        return _acted(memory, memory.up_to_date(inventory, self._clock()), wish, untold)

    def forget(self, name: SecretName) -> None:
        """Forget a ManagedSecret that is gone."""
        self._reloads.forget(name)
        memory = self._memories.get(name.namespace)
        if memory is not None:
            memory.forget(name.name)
            if not memory.wishes and not memory.turn.locked():
                del self._memories[name.namespace]
                self._calendar.set(("restarts", name.namespace), None, lambda: None)

    async def _restart_due(self, memory: NamespaceMemory, inventory: Inventory) -> None:
        now = self._clock()
        decision = decide(
            inventory, memory.wishes.values(), self._rules, known=memory.known, now=now
        )
        memory.note_rolling(inventory, decision.rolling, now)
        looks = [decision.again]
        if decision.restarts and now < self._settled_at:
            looks.append(self._settled_at)
        elif decision.restarts:
            looks.append(await self._restart(memory, inventory.namespace, decision.restarts))
        again = earliest(looks)
        namespace = inventory.namespace
        self._calendar.set(("restarts", namespace), again, lambda: self._wake(namespace))

    def _wake(self, namespace: str) -> None:
        memory = self._memories.get(namespace)
        for name in tuple(memory.wishes if memory is not None else ()):
            self._changed(SecretName(namespace, name))

    async def _restart(
        self, memory: NamespaceMemory, namespace: str, restarts: tuple[Restart, ...]
    ) -> datetime | None:
        """Patch workloads; return when to look again at those that were not."""
        is_caged = await self._is_caged()
        looks = []
        for restart in restarts:
            if is_caged:
                looks.append(await self._patch(memory, namespace, restart))
            else:
                looks.append(await self._note(memory, namespace, restart, UNCAGED))
        return earliest(looks)

    async def _is_caged(self) -> bool:
        try:
            return await self._are_caged()
        except ClusterUnavailableError:
            return False

    async def _patch(
        self, memory: NamespaceMemory, namespace: str, restart: Restart
    ) -> datetime | None:
        try:
            version = await self._patches.restart(namespace, restart.workload, restart.marks)
        except RaceError:
            return self._clock() + AGAIN
        except NotFoundError:
            return None
        except ClusterUnavailableError as error:
            # The apiserver itself, or somebody whom it asks about this one workload.
            memory.note_in_doubt(restart, error.message, self._clock())
            return memory.failures[restart.workload.ref].retry_at
        except KeyturnError as error:
            return await self._note(memory, namespace, restart, error.message)
        memory.note_patched(restart, version, self._clock())
        logger.info("%s in %s is restarted for %s", restart.workload.ref, namespace, restart.marks)
        await self._tell(memory, namespace, restart, RestartEvent.TRIGGERED)
        return None

    async def _note(
        self, memory: NamespaceMemory, namespace: str, restart: Restart, why: str
    ) -> datetime:
        logger.warning("%s in %s cannot be restarted: %s", restart.workload.ref, namespace, why)
        memory.note_failed(restart, why, self._clock())
        await self._tell(memory, namespace, restart, RestartEvent.FAILED)
        return memory.failures[restart.workload.ref].retry_at

    async def _tell(
        self, memory: NamespaceMemory, namespace: str, restart: Restart, event: RestartEvent
    ) -> None:
        for wish in restart.wishes:
            await self._events.post_restart(
                SecretName(namespace, wish.name),
                memory.uids.get(wish.name, ""),
                event,
                workload=restart.workload,
                mark=restart.marks[annotation_key(wish.name)],
            )


def _wish(resource: ManagedSecret, secret: Secret, view: View) -> Wish | None:
    version = secret.stages.current
    if version is None:
        return None
    targets = resource.effective_targets
    notes = {target.name: note_of(target.template.annotations) for target in targets}
    return Wish(
        resource.name.name,
        version,
        view.native_names,
        view.spells,
        resource.spec.consumers,
        {name: note for name, note in notes.items() if note is not None},
    )


def _acted(
    memory: NamespaceMemory, inventory: Inventory, wish: Wish, untold: Mapping[str, str]
) -> Acted:
    if wish.spec is not None and wish.spec.action is Action.NONE:
        return NOTHING
    key = annotation_key(wish.name)
    return Acted(
        restarting=frozenset(
            workload.ref
            for workload in inventory.workloads
            if not workload.is_rolled_out
            and was_restarted_for(workload, wish.name, wish.native_names, wish.spells, wish.version)
        ),
        unrestarted={
            ref: failure.why for ref, failure in memory.failures.items() if key in failure.marks
        },
        untold=untold,
    )
