"""Values for the next version: read what is followed, import what exists, make what changed."""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from keyturn.domain.errors import KeyturnError, RaceError, UnavailableError
from keyturn.domain.managed_secret import (
    ConfigMapKey,
    CreationPolicy,
    Generate,
    Input,
    Literal,
    ManagedSecret,
    SecretKey,
)
from keyturn.domain.payload import Payload, SecretValue
from keyturn.domain.secret import Secret, SecretName
from keyturn.domain.version import VersionReason
from keyturn.kube.following import FollowedObject
from keyturn.kube.sources import Sources
from keyturn.services import next_version
from keyturn.services.credentials import credential_of
from keyturn.services.generating import Generating
from keyturn.services.importing import Importing
from keyturn.services.next_version import NO_ROTATION, Fingerprint, Plan, RotatedKeys
from keyturn.services.standing import standing
from keyturn.services.targets import NativeView
from keyturn.services.versions import Versions

logger = logging.getLogger(__name__)

Follow = Callable[[SecretName, frozenset[FollowedObject]], None]
"""Tells the source watches which objects a ManagedSecret is to follow."""


class Sourcing:
    """Makes the next version of a secret where its resource or a source asks for one."""

    def __init__(
        self,
        versions: Versions,
        generating: Generating,
        sources: Sources,
        importing: Importing,
        fingerprint: Fingerprint,
        follow: Follow,
    ) -> None:
        self._versions = versions
        self._generating = generating
        self._sources = sources
        self._importing = importing
        self._fingerprint = fingerprint
        self._follow = follow

    async def next(
        self, resource: ManagedSecret, secret: Secret, view: NativeView, *, has_failed: bool
    ) -> tuple[Secret, KeyturnError | None]:
        """Add the next version if one is due.

        Returns the secret as it stands then, and what kept a due version from being made.
        `has_failed` tells that the last reconcile did not end in a synced secret.

        Raises:
            UnavailableError: something that is needed does not answer.
        """
        try:
            async with self.planned(resource, secret, view, has_failed=has_failed) as plan:
                if plan is None:
                    return secret, None
                return await self._make(plan, resource, secret), None
        except (UnavailableError, RaceError):
            raise
        except KeyturnError as error:
            return secret, error

    @asynccontextmanager
    async def planned(
        self,
        resource: ManagedSecret,
        secret: Secret,
        view: NativeView,
        *,
        has_failed: bool,
        rotation: RotatedKeys = NO_ROTATION,
    ) -> AsyncIterator[Plan | None]:
        """Plan the next version inside the `with`; the values that were read are zeroed after it.

        Raises:
            KeyturnError: a source cannot be read, or a target stands in the way.
        """
        followed: dict[str, SecretValue] = {}
        try:
            # Followed first, read then: a change in between is heard of.
            self._follow(resource.name, self._to_follow(resource, secret, has_failed=has_failed))
            await self._read(resource, followed)
            plan = next_version.plan(
                resource.spec,
                secret,
                followed=followed,
                fingerprint=self._fingerprint,
                siblings_of=self._generating.siblings_of,
                rotation=rotation,
            )
            if plan is not None:
                if secret.stages.current is None:
                    plan = await self._importing.complete(plan, resource, secret, view)
                else:
                    await self._importing.refuse_rollback(resource, secret, view)
            yield plan
        finally:
            for value in followed.values():
                value.zero()

    def forget(self, name: SecretName) -> None:
        """Follow nothing for a ManagedSecret that is gone."""
        self._follow(name, frozenset())

    def _to_follow(
        self, resource: ManagedSecret, secret: Secret, *, has_failed: bool
    ) -> frozenset[FollowedObject]:
        """Name the objects whose change may change what becomes of the resource.

        A target that could not be written is one: its owner may let it be written, or remove it.
        """
        found: set[tuple[str, str]] = set()
        for entry in resource.spec.data:
            match entry.source:
                case ConfigMapKey(name=name):
                    found.add(("configmaps", name))
                case SecretKey(name=name):
                    found.add(("secrets", name))
                case Generate() as source:
                    found |= {("secrets", name) for name in self._generating.secrets_of(source)}
                case Literal() | Input():
                    pass
        if has_failed:
            found |= {
                ("secrets", target.name)
                for target in resource.effective_targets
                if target.creation_policy is not CreationPolicy.NONE
                and secret.projection(target.name) is None
            }
        return frozenset(FollowedObject(kind, resource.namespace, name) for kind, name in found)

    async def _read(self, resource: ManagedSecret, followed: dict[str, SecretValue]) -> None:
        for entry in resource.spec.data:
            if isinstance(entry.source, ConfigMapKey | SecretKey):
                followed[entry.key] = await self._sources.read(resource.name, entry.source)

    async def payload(self, plan: Plan, resource: ManagedSecret, secret: Secret) -> Payload:
        """Make the payload that a plan asks for; the caller zeroes it.

        Raises:
            AwaitingInputError: a key with the source `input` has no value yet.
            InvalidParameterError, SourceNotFoundError: a generator cannot run.
        """
        async with standing(self._versions, secret, plan) as stands:
            with Payload(plan.given):
                return await next_version.payload_of(
                    plan, resource.spec, resource.name, stands, self._generating
                )

    async def _make(self, plan: Plan, resource: ManagedSecret, secret: Secret) -> Secret:
        with await self.payload(plan, resource, secret) as payload:
            added = await self._versions.add(
                secret,
                payload,
                origins=plan.origins,
                reason=plan.reason,
                history_limit=resource.spec.history_limit,
                credential=await credential_of(self._versions, resource.spec, secret, payload),
            )
        if plan.reason is not VersionReason.CREATED and added.newest is not None:
            logger.info("%s has version %d (%s)", secret.name, added.newest.number, plan.reason)
        return added
