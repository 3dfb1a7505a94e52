"""Values that exist already: of a native Secret that is taken over, or of a store that was lost."""

from collections.abc import Mapping
from dataclasses import replace

from keyturn.domain.errors import StoreRollbackError, TargetOwnedByOtherError
from keyturn.domain.managed_secret import (
    AdoptionPolicy,
    CreationPolicy,
    Generate,
    Input,
    ManagedSecret,
    Target,
)
from keyturn.domain.payload import Payload, SecretValue
from keyturn.domain.secret import Secret
from keyturn.domain.stage import Stage
from keyturn.domain.version import VersionReason
from keyturn.kube.client import Json
from keyturn.projection.drift import read_data
from keyturn.projection.ownership import Action, RefusalReason
from keyturn.services.next_version import Plan
from keyturn.services.targets import NativeView, Targets, refusal
from keyturn.services.versions import Versions

BLOCKING = (RefusalReason.TARGET_OWNED_BY_OTHER, RefusalReason.STORE_ROLLBACK)


class Importing:
    """Puts the values of existing native Secrets into the versions of a secret."""

    def __init__(self, targets: Targets, versions: Versions) -> None:
        self._targets = targets
        self._versions = versions

    async def complete(
        self, plan: Plan, resource: ManagedSecret, secret: Secret, view: NativeView
    ) -> Plan:
        """Look at the targets before the first value is made, and give what they hold.

        A version that was generated first would stand in the way of an import for ever.

        Raises:
            TargetOwnedByOtherError: a target is somebody else's.
            StoreRollbackError: a target was written from a store that was lost, and not all of
                its values can be read back from it.
        """
        given: dict[str, SecretValue] = {}
        lost: list[Target] = []
        for target in resource.effective_targets:
            actual = await _look(view, resource, target)
            decision = await self._targets.decide(resource, secret, target, actual)
            if decision.action in (Action.IMPORT, Action.IMPORT_LOST_STORE) and actual is not None:
                found = values_in(target, resource, actual)
                given = {**found, **given}
            elif decision.action is Action.REFUSE and decision.reason in BLOCKING:
                raise refusal(decision)
            if decision.action is Action.IMPORT_LOST_STORE:
                lost.append(target)
        if lost:
            _require_all(resource, lost[0], given)
        if not given:
            return plan
        return replace(plan, given=given, reason=VersionReason.IMPORTED)

    async def refuse_rollback(
        self, resource: ManagedSecret, secret: Secret, view: NativeView
    ) -> None:
        """Look at the targets before a version is added to those that the store holds.

        In a store that is older than the cluster it would get a number that the cluster has seen.

        Raises:
            StoreRollbackError: a target shows a version that the store does not hold.
        """
        for target in resource.effective_targets:
            try:
                actual = await view.get(target.name)
            except TargetOwnedByOtherError:
                # It cannot even be read, so it shows no version of ours.
                continue
            decision = await self._targets.decide(resource, secret, target, actual)
            if decision.reason is RefusalReason.STORE_ROLLBACK:
                raise refusal(decision)

    async def add(
        self, resource: ManagedSecret, secret: Secret, target: Target, actual: Json
    ) -> bool:
        """Make the values of a native Secret the next version of a secret that has versions.

        Returns whether there is one: not if the current version has these values already, as where
        the native Secret differs in what a template renders.
        """
        number = secret.stages.current
        current = await self._versions.open(secret, number) if number else Payload({})
        with current, Payload(values_in(target, resource, actual)) as found:
            if number and all(k in current and v.matches(current[k]) for k, v in found.items()):
                return False
            fields = {key: value.copy() for key, value in {**current, **found}.items()}
            with Payload(fields) as payload:
                await self._versions.add(
                    secret,
                    payload,
                    origins=secret.newest.origins if secret.newest else {},
                    reason=VersionReason.IMPORTED,
                    history_limit=resource.spec.history_limit,
                )
        return True


async def _look(view: NativeView, resource: ManagedSecret, target: Target) -> Json | None:
    """Look whether something stands there that its values could be taken from, or its rights."""
    creates = target.creation_policy in (CreationPolicy.OWNER, CreationPolicy.ORPHAN)
    if creates and resource.spec.adoption_policy is AdoptionPolicy.FAIL:
        return await view.glance(target.name)
    return await view.get(target.name)


def values_in(target: Target, resource: ManagedSecret, actual: Json) -> dict[str, SecretValue]:
    """Read the payload's keys back from a native Secret, as far as they stand there unrendered.

    A target that does not show the Current version holds none of its values.
    """
    suffix = next((s for stage, s in target.stages if stage is Stage.CURRENT), None)
    if suffix is None or not target.template.shows_payload:
        return {}
    rendered = target.template.data.keys()
    keys = {key + suffix: key for key in resource.spec.keys if key not in rendered}
    return {keys[native]: value for native, value in read_data(actual, keys).items()}


def _require_all(resource: ManagedSecret, target: Target, given: Mapping[str, SecretValue]) -> None:
    # What the resource states or follows can be had again; all else was in the lost store alone.
    missing = [
        key
        for entry in resource.spec.data
        if isinstance(entry.source, Generate | Input)
        for key in entry.fills
        if key not in given
    ]
    if missing:
        raise StoreRollbackError(
            f"the Secret {target.name} was written from a store that is lost, and the value of "
            f"{missing[0]} cannot be read back from it; restore the store, or delete the Secret "
            "to begin anew"
        )
