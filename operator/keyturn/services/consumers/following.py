"""The consumers of a ManagedSecret in each reconcile: looked at where it asks, and reported."""

from collections.abc import Callable, Sequence

from keyturn.domain.consumers import WorkloadRef
from keyturn.domain.managed_secret import ManagedSecret
from keyturn.domain.restart_marks import was_restarted_for
from keyturn.domain.secret import Secret, SecretName
from keyturn.services.consumers.acting import Acting
from keyturn.services.consumers.interest import Interest
from keyturn.services.consumers.inventory import Consumers, View
from keyturn.services.consumers.reporting import ConsumersReport, consumers_report


class FollowedConsumers:
    """Reports the consumers of those that ask; who does not costs no request."""

    def __init__(
        self,
        consumers: Consumers,
        interest: Interest,
        later: Callable[[float, SecretName], None],
        acting: Acting,
    ) -> None:
        self._consumers = consumers
        self._interest = interest
        self._later = later
        self._acting = acting

    async def report(
        self, resource: ManagedSecret, secret: Secret, unwell: Sequence[WorkloadRef] = ()
    ) -> ConsumersReport | None:
        """Do what is asked for, and report who has moved to the current version.

        Nothing is reported of a resource that does not ask, though others may ask for it. `unwell`
        are those that did not become healthy with the version; one that recovered is not told.

        Raises:
            StoreUnavailableError: the store does not answer.
        """
        asks = self._acting.asks(resource)
        # Before the look: what changes after it is then heard of.
        self._interest.note(resource.name, asks=asks)
        if not asks:
            self._acting.forget(resource.name)
            return None
        current = secret.stages.current
        if current is None:
            return None
        view = await self._consumers.look(resource, secret, recent=True)
        if view.inventory is None:
            self._later(view.rest, resource.name)
        acted = await self._acting.act(resource, secret, view)
        if not resource.spec.asks_for_consumers:
            return None
        failed = _failed(resource, view, current, unwell)
        return consumers_report(view, current, acted, failed=failed)

    def forget(self, name: SecretName) -> None:
        """Forget a ManagedSecret that is gone."""
        self._interest.note(name, asks=False)
        self._acting.forget(name)


def _failed(
    resource: ManagedSecret, view: View, version: int, unwell: Sequence[WorkloadRef]
) -> tuple[WorkloadRef, ...]:
    """Name those that were restarted for the version, and are not healthy with it."""
    name, names = resource.name.name, view.native_names
    workloads = view.inventory.workloads if view.inventory is not None else ()
    return tuple(
        each.ref
        for each in workloads
        if (each.has_failed or (each.ref in unwell and not each.is_rolled_out))
        and was_restarted_for(each, name, names, view.spells, version)
    )
