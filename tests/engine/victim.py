"""A process that rotates on a real store and a real target, and may be killed at any place.

It reads jobs from stdin, a line of JSON each, and forks a child for each, so that one that is
killed costs no new start of Python. What the cluster does for an operator is done here as plainly
as can be: the resource comes with the job, and the current version is written to a file.
"""

import asyncio
import base64
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

from keyturn import plugins
from keyturn.bootstrap.vault import Vault, default_key, unlock
from keyturn.domain.managed_secret import ManagedSecret
from keyturn.domain.payload import Payload, SecretValue
from keyturn.domain.recovery import Retention
from keyturn.domain.rotation import RotatorRef
from keyturn.domain.rotation_event import Channel
from keyturn.domain.rotator import AdminKind, AdminRef, RotatorSettings
from keyturn.domain.secret import Secret, SecretName
from keyturn.domain.version import VersionReason
from keyturn.kube.resources import parse
from keyturn.observability import failpoints
from keyturn.rotators.catalogue import Catalogue
from keyturn.rotators.interface import Order, Target
from keyturn.services.calendar import Calendar
from keyturn.services.generating import Generating
from keyturn.services.next_version import Plan
from keyturn.services.rotation.aiming import Aim, Aiming
from keyturn.services.rotation.leadership import Leadership
from keyturn.services.rotation.pending import PendingVersions
from keyturn.services.rotation.performing import Performing
from keyturn.services.rotation.pool import RotationPool
from keyturn.services.rotation.rotations import Rotations
from keyturn.services.sourcing import Sourcing
from keyturn.settings import Settings
from keyturn.store.interface import Attachment
from keyturn.store.journal import Telling
from keyturn.store.sqlite import SQLiteStore

Json = dict[str, Any]

NAMESPACE = "shop"
DEADLINE = 60.0


def now() -> datetime:
    return datetime.now(UTC)


def decoded(values: Mapping[str, str]) -> dict[str, SecretValue]:
    return {key: SecretValue(base64.b64decode(value)) for key, value in values.items()}


class Importing:
    """Gives the first version the values of a credential that exists in the target already."""

    def __init__(self, given: Mapping[str, str]) -> None:
        self._given = given

    async def complete(self, plan: Plan, *_: object) -> Plan:
        if not self._given:
            return plan
        return replace(plan, given=decoded(self._given), reason=VersionReason.IMPORTED)

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

    def __init__(self, job: Json) -> None:
        super().__init__(Catalogue(), cast("Any", None), cast("Any", None), cast("Any", None), None)
        self._job = job

    async def settings(self, name: SecretName, ref: RotatorRef) -> RotatorSettings:
        admin = AdminRef(AdminKind.NATIVE, NAMESPACE, "admin") if self._job["admin"] else None
        return RotatorSettings(
            ref=ref,
            uid="uid-of-rotator",
            type=self._job["type"],
            parameters=self._job["parameters"],
            author_checked=True,
            admin=admin,
            allowed_usernames=tuple(self._job.get("allowed", ())),
            timeout=self._job["timeout"],
        )

    @asynccontextmanager
    async def aim(
        self, resource: ManagedSecret, rotation: Any, settings: RotatorSettings | None
    ) -> AsyncIterator[Aim]:
        rotator, traits, roles = self.match(resource, rotation, settings)
        with Payload(decoded(self._job["admin"])) as admin:
            authority = self._job["authority"].encode()
            target = Target(self._job["parameters"], admin, authority, self._job["timeout"])
            yield Aim(rotator, target, traits, roles, settings)


@dataclass
class Engine:
    """The rotation engine on a store of its own."""

    vault: Vault
    rotations: Rotations
    performing: Performing
    aiming: GivenAim
    pool: RotationPool
    calendar: Calendar
    leadership: Leadership
    changed: asyncio.Event
    resource: ManagedSecret
    folder: Path

    @classmethod
    @asynccontextmanager
    async def opened(cls, job: Json) -> AsyncIterator["Engine"]:
        folder = Path(job["folder"])
        settings = Settings(
            data_dir=folder / "data",
            socket=folder / "socket",
            kubeconfig=None,
            key_file=folder / "key",
        )
        store = await SQLiteStore.open(settings.store_file)
        try:
            key = await default_key(settings, store, await store.identity(), None)
            vault = await unlock(settings, store, key)
            engine = cls._assembled(job, vault, folder)
            await engine.leadership.take()
            tasks = [
                asyncio.create_task(engine.pool.run()),
                asyncio.create_task(engine.calendar.run()),
            ]
            yield engine
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            await store.close()

    @classmethod
    def _assembled(cls, job: Json, vault: Vault, folder: Path) -> "Engine":
        changed = asyncio.Event()
        generating = Generating(plugins.load("keyturn.generators"), None, now)
        sourcing = Sourcing(
            vault.versions,
            generating,
            cast("Any", None),
            cast("Any", Importing(job.get("given", {}))),
            vault.keys.fingerprint,
            lambda *_: None,
        )
        leadership = Leadership(vault.store.rotations, HeldLease())
        aiming, pending = (
            GivenAim(job),
            PendingVersions(vault.versions, sourcing, vault.keys.fingerprint),
        )
        channels = (Channel.CLUSTER, Channel.SINK)
        performing = Performing(
            vault.store,
            vault.store.rotations,
            vault.versions,
            aiming=aiming,
            pending=pending,
            leadership=leadership,
            view_of=lambda _: cast("Any", None),
            channels=channels,
            told=lambda: None,
            clock=now,
        )
        pool, calendar = RotationPool(4), Calendar(now)
        rotations = Rotations(
            vault.store.rotations,
            sourcing,
            pending=pending,
            aiming=aiming,
            performing=performing,
            pool=pool,
            calendar=calendar,
            leadership=leadership,
            follow=lambda *_: None,
            changed=lambda _: changed.set(),
            telling=lambda: Telling(now(), channels),
            told=lambda: None,
            clock=now,
        )
        body = {
            "apiVersion": "keyturn.dev/v1alpha1",
            "kind": "ManagedSecret",
            "metadata": {
                "name": "db",
                "namespace": NAMESPACE,
                "uid": "uid-of-resource",
                "generation": 1,
                "annotations": {"keyturn.dev/rotate": job["token"]} if job.get("token") else {},
            },
            "spec": job["spec"],
        }
        resource = parse(body, outputs_of=generating.outputs_of)
        return cls(
            vault,
            rotations,
            performing,
            aiming,
            pool,
            calendar,
            leadership,
            changed,
            resource,
            folder,
        )

    async def secret(self) -> Secret:
        attachment = Attachment(
            "uid-of-shop", self.resource.name, "uid-of-resource", Retention(), b"manifest"
        )
        return await self.vault.store.attach(attachment, now=now())

    async def settle(self) -> None:
        """Reconcile until nothing is left to be done."""
        async with asyncio.timeout(DEADLINE):
            while True:
                self.changed.clear()
                secret = await self.secret()
                look = await self.rotations.look(
                    self.resource, secret, cast("Any", None), has_failed=False
                )
                if look.secret.stages.current is not None:
                    failpoints.reach("before.project")
                    await self._project(look.secret)
                    failpoints.reach("after.project")
                    assert self.resource.spec.rotation is not None
                    look = await self.rotations.projected(look, self.resource.spec.rotation)
                is_done = look.journal.open is None and look.trouble is None
                if is_done and not self.pool and not self.changed.is_set():
                    return
                await self.changed.wait()

    async def _project(self, secret: Secret) -> None:
        number = secret.stages.current
        assert number is not None
        with await self.vault.versions.open(secret, number) as payload:
            values = {k: base64.b64encode(v.reveal()).decode() for k, v in payload.items()}
        document = json.dumps({"version": number, "values": values})
        handle, name = tempfile.mkstemp(dir=self.folder)
        with os.fdopen(handle, "w") as file:
            file.write(document)
        Path(name).replace(self.folder / "projected.json")

    async def report(self) -> Json:
        """Tell what the store says, and which of its credentials the target takes."""
        secret = await self.secret()
        journal = await self.vault.store.rotations.journal(secret.id)
        stages = {stage.value: number for stage, number in secret.stages.versions.items()}
        accepted = {stage: await self._accepts(secret, number) for stage, number in stages.items()}
        waiting = await self.vault.store.rotations.waiting(Channel.SINK, 1000)
        return {
            "stages": stages,
            "newest": secret.newest.number if secret.newest else 0,
            "accepted": accepted,
            "rotations": [
                {"number": r.number, "outcome": r.outcome, "failures": r.failures, "id": str(r.id)}
                for r in journal.rotations
            ],
            "events": [[str(event.rotation_id), event.kind.value] for event in waiting],
        }

    async def _accepts(self, secret: Secret, number: int) -> bool:
        """Log in with a version as the target's own client does."""
        rotation = self.resource.spec.rotation
        assert rotation is not None
        assert rotation.rotator is not None
        settings = await self.aiming.settings(self.resource.name, rotation.rotator)
        async with self.aiming.aim(self.resource, rotation, settings) as aim:
            with await self.vault.versions.open(secret, number) as payload:
                credential = aim.roles.credential(number, payload)
                name = credential.values.get("username")
                base = bytes(name.reveal()).decode() if name is not None else ""
                order = Order(secret.id, uuid4(), rotation.strategy, base, None, credential)
                async with aim.rotator.session(aim.target, order) as session:
                    return await session.accepts(credential)


async def do(job: Json) -> Json:
    async with Engine.opened(job) as engine:
        if job["act"] == "report":
            return await engine.report()
        if job["act"] == "cancel":
            secret = await engine.secret()
            await engine.rotations.cancel(secret, "the test")
        await engine.settle()
        return {}


def main() -> None:
    for line in sys.stdin:
        job = json.loads(line)
        child = os.fork()
        if child == 0:
            os._exit(_in_child(job))
        _, status = os.waitpid(child, 0)
        answer = {"status": os.waitstatus_to_exitcode(status)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _in_child(job: Json) -> int:
    failpoints.arm(job.get("failpoint", ""))
    answer = asyncio.run(do(job))
    Path(job["folder"], "answer.json").write_text(json.dumps(answer))
    return 0


if __name__ == "__main__":
    main()
