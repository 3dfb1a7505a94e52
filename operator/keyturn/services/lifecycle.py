"""From the resource to its secret in the store, and what becomes of it when the resource goes."""

import asyncio
import json
import logging
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import NAMESPACE_OID, UUID, uuid5

from keyturn.crypto.root_keys import RootKeys
from keyturn.domain.errors import (
    ConflictError,
    DeniedError,
    InvalidParameterError,
    SecretNotFoundError,
)
from keyturn.domain.managed_secret import ManagedSecret
from keyturn.domain.recovery import is_purge_suspicious
from keyturn.domain.secret import Secret, SecretName
from keyturn.kube.errors import AlreadyExistsError, ObjectNotFoundError
from keyturn.kube.facts import ClusterFacts
from keyturn.kube.managed_secrets import ManagedSecrets
from keyturn.kube.resources import from_manifest, to_manifest
from keyturn.services.clock import Clock
from keyturn.store.interface import Attachment, SecretStore

logger = logging.getLogger(__name__)

HORIZON = timedelta(hours=1)
"""What comes due within so short a time counts as due at once: many deletions are recorded one
after the other, and would pass the guard one after the other."""


class Manifests:
    """Keeps the resource as its author wrote it, so that it can be made again.

    Beside it stands the UID of the CRD that it was written under: when the CRD was deleted, and
    every resource with it, the UID is another one, and that is not a deletion of the secret.
    """

    def __init__(self, keys: RootKeys) -> None:
        self._keys = keys

    def seal(self, manifest: bytes, crd_uid: str, namespace_uid: str, name: SecretName) -> bytes:
        document = json.dumps({"crd": crd_uid, "manifest": manifest.decode()}).encode()
        return self._keys.seal_manifest(document, _bound_to(namespace_uid, name))

    def open(self, secret: Secret) -> tuple[bytes, str]:
        """Return the manifest and the UID of its CRD."""
        sealed = secret.sealed_manifest
        opened = self._keys.open_manifest(sealed, _bound_to(secret.namespace_uid, secret.name))
        document = json.loads(opened)
        return document["manifest"].encode(), document["crd"]


def _bound_to(namespace_uid: str, name: SecretName) -> UUID:
    return uuid5(NAMESPACE_OID, f"{namespace_uid}/{name.name}")


def _due_at(secret: Secret) -> datetime:
    return secret.purge_after or datetime.max.replace(tzinfo=UTC)


class Lifecycle:
    """Attaches resources to their secrets, records deletions and destroys what is due."""

    def __init__(
        self,
        store: SecretStore,
        manifests: Manifests,
        facts: ClusterFacts,
        resources: ManagedSecrets,
        clock: Clock,
    ) -> None:
        self._store = store
        self._manifests = manifests
        self._facts = facts
        self._resources = resources
        self._clock = clock
        self._confirmed_until = datetime.min.replace(tzinfo=UTC)
        self.deleted = asyncio.Event()
        """Set when a deletion was recorded: the next purge may be due sooner than it was."""

    async def attach(self, resource: ManagedSecret, body: Mapping[str, Any]) -> Secret:
        """Find the secret of a resource by its identity, or make it; a deletion is taken back.

        The UID of the namespace is asked for anew for each resource that the store does not know:
        a namespace that was made again must not inherit what its name held before.

        Raises:
            DeniedError: the resource was made anew with other targets.
        """
        manifest = to_manifest(body)
        crd_uid = await self._facts.known_crd_uid()
        named = await self._store.lookup(resource.name)
        known = next((s for s in named if s.resource_uid == resource.uid), None)
        if known is not None and self._is_attached(known, resource, manifest, crd_uid):
            return known
        if known is not None:
            namespace_uid = known.namespace_uid
        else:
            namespace_uid = await self._facts.namespace_uid(resource.namespace)
            await self._record_lost_namespace(named, namespace_uid)
            self._refuse_other_targets(named, namespace_uid, body)
        attachment = Attachment(
            namespace_uid=namespace_uid,
            name=resource.name,
            resource_uid=resource.uid,
            retention=resource.spec.retention,
            sealed_manifest=self._manifests.seal(manifest, crd_uid, namespace_uid, resource.name),
        )
        return await self._store.attach(attachment, now=self._clock())

    def _refuse_other_targets(
        self, named: Iterable[Secret], namespace_uid: str, body: Mapping[str, Any]
    ) -> None:
        """Give what a name held before to no resource that would show it elsewhere.

        Else whoever may make a ManagedSecret could read, in a Secret of their own, the values of
        one that was deleted. A change of targets is checked by the policy keyturn-author; this
        one would be none to it.

        Raises:
            DeniedError: the resource was made anew with other targets.
        """
        former = next((s for s in named if s.namespace_uid == namespace_uid and s.versions), None)
        if former is None:
            return
        kept = from_manifest(self._manifests.open(former)[0])
        targets = kept["spec"].get("targets")
        if targets != body["spec"].get("targets"):
            names = ", ".join(target["name"] for target in targets or [kept["metadata"]])
            raise DeniedError(
                "it was deleted and made anew with other targets, and its values come back only "
                f"to those that it had ({names}): write spec.targets as it was, and change it when "
                "this is ready"
            )

    async def _record_lost_namespace(self, named: Iterable[Secret], namespace_uid: str) -> None:
        """Record as deleted what an earlier namespace of the same name held.

        It went with its namespace, and nobody saw it go; the GET that would tell finds the new one.
        """
        for secret in named:
            if secret.deleted_at is None and secret.namespace_uid != namespace_uid:
                await self._mark_deleted(secret)

    def _is_attached(
        self, secret: Secret, resource: ManagedSecret, manifest: bytes, crd_uid: str
    ) -> bool:
        return (
            secret.deleted_at is None
            and secret.retention == resource.spec.retention
            and self._manifests.open(secret) == (manifest, crd_uid)
        )

    async def record_deletion(self, name: SecretName) -> None:
        """Record that a resource is gone: a GET has just answered that it does not exist.

        Nothing is recorded while the CRD is missing or being deleted, or was made anew since the
        resource was last seen: then nobody deleted the resource itself.
        """
        for secret in await self._store.lookup(name):
            if secret.deleted_at is not None:
                continue
            crd_uid = await self._facts.crd_uid()
            if crd_uid is None or crd_uid != self._manifests.open(secret)[1]:
                logger.warning("%s is gone with its CRD; this does not count as deletion", name)
                continue
            if await self._found(name) is not None:
                # It was made again since that GET, and the store may know it already.
                continue
            await self._mark_deleted(secret)

    async def _mark_deleted(self, secret: Secret) -> None:
        await self._store.mark_deleted(
            secret.id, resource_uid=secret.resource_uid, now=self._clock()
        )
        self.deleted.set()
        logger.info("%s was deleted; its versions are kept by its reclaim policy", secret.name)

    async def purge_due(self, *, confirmed: bool = False) -> int:
        """Destroy the secrets whose recovery window is over; return how many.

        A confirmation holds for what is due now and for what comes due with it.

        Raises:
            InvalidParameterError: so many are due at once that a person has to confirm.
        """
        now = self._clock()
        together = await self._store.due_for_purge(now + HORIZON)
        if confirmed:
            self._confirmed_until = now + HORIZON
        unconfirmed = sum(_due_at(secret) > self._confirmed_until for secret in together)
        if is_purge_suspicious(unconfirmed, await self._store.count()):
            raise InvalidParameterError(
                f"{unconfirmed} secrets are due for destruction within an hour; if that is "
                "meant, run: keyturn purge --confirm"
            )
        due = [secret for secret in together if _due_at(secret) <= now]
        for secret in due:
            await self._store.purge(secret.id, now=now)
            logger.info("%s is purged: its recovery window is over", secret.name)
        return len(due)

    async def next_purge_in(self) -> float | None:
        """Tell in how many seconds the next purge is due."""
        due = await self._store.next_purge()
        return None if due is None else (due - self._clock()).total_seconds()

    async def restore(self, name: SecretName) -> Secret:
        """Make a deleted ManagedSecret again, with all its versions.

        Raises:
            SecretNotFoundError: the store holds no deleted secret of that name.
            ConflictError: the namespace was made anew since; what it held is not handed on. Or the
                resource is not gone yet.
        """
        found = await self._store.lookup(name)
        if not found:
            raise SecretNotFoundError(f"the store holds no secret {name}")
        secret = found[0]
        # The store does not tell: of a deletion it hears later, of one with its CRD never.
        if await self._stands(name) and secret.deleted_at is None:
            return secret
        if await self._facts.namespace_uid(name.namespace) != secret.namespace_uid:
            raise ConflictError(
                f"the namespace {name.namespace!r} was made anew since {name} was deleted; "
                "its values are not handed on to it"
            )
        body = from_manifest(self._manifests.open(secret)[0])
        restored = await self._store.restore(secret.id)
        try:
            await self._resources.create(body)
        except AlreadyExistsError:
            logger.info("%s exists again already", name)
        return restored

    async def _stands(self, name: SecretName) -> bool:
        """Tell whether the resource exists.

        Raises:
            ConflictError: it is just being deleted, and cannot be made again until it is gone.
        """
        body = await self._found(name)
        if body is not None and "deletionTimestamp" in body["metadata"]:
            raise ConflictError(f"{name} is still being deleted; restore it when it is gone")
        return body is not None

    async def _found(self, name: SecretName) -> dict[str, Any] | None:
        try:
            return await self._resources.get(name)
        except ObjectNotFoundError:
            return None
