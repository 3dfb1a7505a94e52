"""The rotation engine without a cluster, on a store of its own.

What the cluster does for an operator is done here as plainly as can be: the resource comes with a
job, and the current version of a secret is written to a file of the secret's name.
"""

import asyncio
import base64
import json
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, cast

from fleet import Fleet, Login
from keyturn import plugins
from keyturn.bootstrap.vault import Vault
from keyturn.domain.managed_secret import ManagedSecret
from keyturn.domain.payload import Payload, SecretValue
from keyturn.domain.recovery import Retention
from keyturn.domain.rotation import RotationSpec, RotatorRef
from keyturn.domain.rotation_event import Channel
from keyturn.domain.rotator import AdminKind, AdminRef, RotatorSettings
from keyturn.domain.secret import Secret, SecretName
from keyturn.domain.version import VersionReason
from keyturn.kube.resources import parse
from keyturn.observability import failpoints
from keyturn.rotators.catalogue import Catalogue
from keyturn.rotators.interface import JobRunner, Rotator, Target
from keyturn.services.calendar import Calendar
from keyturn.services.clock import Clock
from keyturn.services.consumers.gates import ConsumerGate
from keyturn.services.generating import Generating
from keyturn.services.next_version import Plan
from keyturn.services.rotation.aiming import Aim, Aiming
from keyturn.services.rotation.leadership import Leadership
from keyturn.services.rotation.look import Look
from keyturn.services.rotation.no_target import NOWHERE
from keyturn.services.rotation.pending import PendingVersions
from keyturn.services.rotation.performing import Performing
from keyturn.services.rotation.pool import RotationPool
from keyturn.services.rotation.rotations import Rotations
from keyturn.services.sourcing import Sourcing
from keyturn.store.interface import Attachment
from keyturn.store.journal import RotationJournal, Telling

logger = logging.getLogger(__name__)

Json = dict[str, Any]

NAMESPACE = "shop"
CHANNELS = (Channel.CLUSTER, Channel.SINK)

catalogue = cache(Catalogue)
generators = cache(lambda: plugins.load("keyturn.generators"))


def now() -> datetime:
    return datetime.now(UTC)


def encoded(values: Mapping[str, SecretValue]) -> dict[str, str]:
    return {name: base64.b64encode(value.reveal()).decode() for name, value in values.items()}


def decoded(values: Mapping[str, str]) -> dict[str, SecretValue]:
    return {name: SecretValue(base64.b64decode(value)) for name, value in values.items()}


@dataclass
class World:
    """What is outside of the engine, as the job at hand says."""

    job: Json
    jobs: JobRunner | None = None
    fleet: Fleet | None = None
    clock: Clock = now

    @property
    def name(self) -> SecretName:
        return SecretName(NAMESPACE, self.job["name"])


class Importing:
    """Gives the first version the values of a credential that exists in the target already."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def complete(self, plan: Plan, *_: object) -> Plan:
        given = self._world.job["given"]
        if not given:
            return plan
        return replace(plan, given=decoded(given), reason=VersionReason.IMPORTED)

    async def refuse_rollback(self, *_: object) -> None:
        """Nothing can contradict the store here."""


class HeldLease:
    """A lease that nobody else wants."""

    def __init__(self) -> None:
        self.held, self.lost = asyncio.Event(), asyncio.Event()
        self.held.set()

    def may_act(self) -> bool:
        return True


class GivenAim(Aiming):
    """Aims at the target that the job names, instead of one that the cluster does."""

    def __init__(self, world: World) -> None:
        super().__init__(catalogue(), cast("Any", None), cast("Any", None), cast("Any", None), None)
        self._world = world

    async def settings(self, name: SecretName, ref: RotatorRef) -> RotatorSettings:
        job = self._world.job
        return RotatorSettings(
            ref=ref,
            uid="uid-of-rotator",
            type=job["type"],
            parameters=job["parameters"],
            author_checked=True,
            admin=AdminRef(AdminKind.NATIVE, NAMESPACE, "admin") if job["admin"] else None,
            allowed_usernames=tuple(job["allowed"]),
            timeout=job["timeout"],
        )

    @asynccontextmanager
    async def aim(
        self, resource: ManagedSecret, rotation: Any, settings: RotatorSettings | None
    ) -> AsyncIterator[Aim]:
        rotator, traits, roles = self.match(resource, rotation, settings)
        if settings is None:
            yield Aim(rotator, NOWHERE, traits, roles)
            return
        job, jobs = self._world.job, self._world.jobs
        authority = job["authority"].encode()
        with Payload(decoded(job["admin"])) as admin:
            target = Target(job["parameters"], admin, authority, job["timeout"], jobs)
            yield Aim(self.wrapped(rotator), target, traits, roles, settings)

    def wrapped(self, rotator: Rotator) -> Rotator:
        """Return what is to be used in place of the rotator."""
        return rotator


class Engine:
    """The rotation engine of one operator."""

    def __init__(
        self,
        vault: Vault,
        world: World,
        folder: Path,
        aiming: GivenAim,
        journal: RotationJournal | None = None,
    ) -> None:
        fleet, clock = world.fleet, world.clock
        self.vault, self.world, self._folder, self.aiming = vault, world, folder, aiming
        self.changed = asyncio.Event()
        self._generating = Generating(generators(), None, clock)
        sourcing = Sourcing(
            vault.versions,
            self._generating,
            cast("Any", None),
            cast("Any", Importing(world)),
            vault.keys.fingerprint,
            lambda *_: None,
        )
        self.journal = journal or vault.store.rotations
        self.leadership = Leadership(self.journal, HeldLease())
        gate = ConsumerGate(fleet, self.journal, self.leadership, clock) if fleet else None
        pending = PendingVersions(vault.versions, sourcing, vault.keys.fingerprint)
        self.performing = Performing(
            vault.store,
            self.journal,
            vault.versions,
            aiming=aiming,
            pending=pending,
            leadership=self.leadership,
            view_of=lambda _: cast("Any", None),
            channels=CHANNELS,
            told=lambda: None,
            clock=clock,
        )
        self.pool, self._calendar = RotationPool(4), Calendar(clock)
        self.rotations = Rotations(
            self.journal,
            sourcing,
            pending=pending,
            aiming=aiming,
            performing=self.performing,
            pool=self.pool,
            calendar=self._calendar,
            leadership=self.leadership,
            follow=lambda *_: None,
            gate=gate,
            changed=lambda _: self.changed.set(),
            telling=lambda: Telling(clock(), CHANNELS),
            told=lambda: None,
            clock=clock,
        )

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Take the epoch, and do what is due until the `with` ends."""
        await self.leadership.take()
        tasks = [asyncio.create_task(work.run()) for work in (self.pool, self._calendar)]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def resource(self) -> ManagedSecret:
        job = self.world.job
        body = {
            "apiVersion": "keyturn.dev/v1alpha1",
            "kind": "ManagedSecret",
            "metadata": {
                "name": job["name"],
                "namespace": NAMESPACE,
                "uid": f"uid-of-{job['name']}",
                "generation": 1,
                "annotations": {"keyturn.dev/rotate": job["token"]} if job["token"] else {},
            },
            "spec": job["spec"],
        }
        return parse(body, outputs_of=self._generating.outputs_of)

    async def secret(self) -> Secret:
        name = self.world.name
        uid = f"uid-of-{name.name}"
        attachment = Attachment("uid-of-shop", name, uid, Retention(), b"manifest")
        return await self.vault.store.attach(attachment, now=now())

    @property
    def rotation(self) -> RotationSpec:
        rotation = self.resource().spec.rotation
        assert rotation is not None
        return rotation

    @asynccontextmanager
    async def aim(self) -> AsyncIterator[Aim]:
        """Aim at the target of the job."""
        resource, ref = self.resource(), self.rotation.rotator
        settings = await self.aiming.settings(resource.name, ref) if ref is not None else None
        async with self.aiming.aim(resource, self.rotation, settings) as aim:
            yield aim

    async def settle(self, *, despite_trouble: bool) -> str:
        """Reconcile until nothing is left to be done, and return the code of what hinders it.

        Unless it is `despite_trouble`, what is hindered is tried again until it works.
        """
        resource = self.resource()
        while True:
            self.changed.clear()
            look = await self.reconcile(resource)
            is_done = look.journal.open is None and (look.trouble is None or despite_trouble)
            if is_done and not self.pool and not self.changed.is_set():
                return look.trouble.code if look.trouble is not None else ""
            if look.trouble is not None:
                logger.warning("%s has to wait: %s", resource.name, look.trouble.message)
            await self.changed.wait()

    async def reconcile(self, resource: ManagedSecret) -> Look:
        """Do what the reconciler does: look, project, end the rotation that is projected."""
        rotation = resource.spec.rotation
        assert rotation is not None
        nothing = cast("Any", None)
        look = await self.rotations.look(resource, await self.secret(), nothing, has_failed=False)
        if look.secret.stages.current is None:
            return look
        failpoints.reach("before.project")
        await self._project(look.secret)
        failpoints.reach("after.project")
        return await self.rotations.projected(self.rotations.shown(look, None), rotation)

    async def _project(self, secret: Secret) -> None:
        number = secret.stages.current
        assert number is not None
        with await self.vault.versions.open(secret, number) as payload:
            document = json.dumps({"version": number, "values": encoded(payload)})
            if self.world.fleet is not None:
                values = (bytes(payload[key].reveal()).decode() for key in Login._fields)
                self.world.fleet.shows(number, Login(*values), self.world.clock())
        new = self._folder / f"{secret.name.name}.new"
        new.write_text(document)
        new.replace(new.with_suffix(".json"))
