"""What a reconcile writes into the status, and what it hears of that again.

Reconciler, queue and the ear for kopf are real; one ManagedSecret stands where the cluster does.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from keyturn import plugins
from keyturn.bootstrap.vault import Vault
from keyturn.domain.errors import (
    DeniedError,
    KeyturnError,
    SourceNotFoundError,
    StorageFullError,
    TargetUnavailableError,
)
from keyturn.domain.managed_secret import ManagedSecret
from keyturn.domain.rotation import Outcome
from keyturn.domain.secret import Secret, SecretName
from keyturn.handlers.operating import Operator
from keyturn.handlers.witness import Witness
from keyturn.kube.kubernetes_events import Notice
from keyturn.services.generating import Generating
from keyturn.services.projecting import Projection
from keyturn.services.reconciling import Reconciler
from keyturn.services.scheduling import Scheduler
from keyturn.services.status import TargetReport
from keyturn.services.targets import SecretMissingError
from keyturn.services.workqueue import Work, WorkQueue
from rotation_office import NAME, failing, world_of
from rotation_office import Operator as Engine
from vaults import opened

Json = dict[str, Any]

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def unknown_generator(name: str = "none") -> Json:
    """Write a specification that the CRD lets through, and only the operator finds wrong."""
    return {"data": [{"key": "a", "generate": {"plugin": {"name": name, "parameters": {}}}}]}


class Stored:
    """One ManagedSecret, changed as the apiserver does it, and the Events about it."""

    def __init__(self, spec: Json) -> None:
        metadata = {"namespace": NAME.namespace, "name": NAME.name, "uid": "uid-of-db"}
        changing = {"resourceVersion": "9", "generation": 1, "managedFields": [{}]}
        self.body: Json = {"metadata": {**metadata, **changing}, "spec": spec}
        self.before_write: Callable[[], None] = lambda: None
        self.after_write: Callable[[], None] = lambda: None
        self.notices: list[Notice] = []
        self.patches: list[Json] = []

    def edit(self, *, spec: Json | None = None, **metadata: Any) -> Json:
        """Change it as a person does; return what a watch tells of it then."""
        self.body["metadata"] |= metadata
        if spec is not None:
            self.body["spec"] = spec
            self.body["metadata"]["generation"] += 1
        return self._changed()

    async def get(self, _: SecretName) -> Json:
        return self.told()

    async def patch_status(self, _: SecretName, __: str, status: Json) -> Json:
        self.before_write()
        self.patches.append(status)
        merged = {**self.body.get("status", {}), **status}
        self.body["status"] = {k: v for k, v in merged.items() if v is not None}
        metadata: Json = self._changed()["metadata"]
        self.after_write()
        return metadata

    async def post(self, _: SecretName, __: str, notice: Notice) -> None:
        self.notices.append(notice)

    def told(self) -> Json:
        return deepcopy(self.body)

    def _changed(self) -> Json:
        metadata = self.body["metadata"]
        metadata["resourceVersion"] = str(int(metadata["resourceVersion"]) + 1)
        return self.told()


class Around:
    """Stands where lifecycle, projection and consumers do, around a real rotation engine."""

    def __init__(self, engine: Engine) -> None:
        self.rotations = engine.rotations
        self.error: KeyturnError | None = None
        self.left_behind: KeyturnError | None = None
        self.unprojected: KeyturnError | None = None
        self._engine = engine

    async def attach(self, _: ManagedSecret, __: Json) -> Secret:
        if self.error is not None:
            raise self.error
        return await self._engine.secret()

    def view(self, _: str) -> Any:
        """Nobody looks at native Secrets here."""

    async def project(self, _: ManagedSecret, secret: Secret, __: Any) -> Projection:
        target = TargetReport("db", "Opaque", synced=True, version=secret.stages.current)
        error = self.left_behind or self.unprojected
        return Projection([target], error=error, left_behind=self.left_behind)

    async def report(self, *_: object) -> None:
        """Nobody asks for consumers here."""


def reconciler_of(stored: Stored, around: Any = None) -> Reconciler:
    return Reconciler(
        cast("Any", stored),
        around,
        around and around.rotations,
        cast("Any", None),
        around,
        Generating(plugins.load("keyturn.generators"), None, lambda: NOW),
        consumers=around,
        events=cast("Any", stored),
        clock=lambda: NOW,
        own_namespaces=frozenset(),
    )


class Desk:
    """Where kopf tells of a resource, and where it is reconciled, a step at a time."""

    def __init__(self, stored: Stored) -> None:
        self.stored = stored
        self.queue = WorkQueue(Scheduler())
        self.reconciler = reconciler_of(stored)
        operator = Operator(
            self.queue,
            self.reconciler,
            cast("Any", None),
            (),
            Witness(),
            check_store=cast("Any", None),
            is_replaced=lambda: False,
        )
        self.hear: Callable[[Json], None] = lambda body: operator.heard("MODIFIED", body)

    async def work(self) -> None:
        """Reconcile what waits."""
        work = await self.queue.get()
        await self.reconciler.reconcile(work)
        self.queue.done(work.name, is_echo=self.reconciler.is_echo)


@pytest.fixture
def stored() -> Stored:
    return Stored(unknown_generator())


@pytest.fixture
def desk(stored: Stored) -> Desk:
    return Desk(stored)


@pytest.fixture
async def vault(tmp_path: Path) -> AsyncIterator[Vault]:
    async with opened(tmp_path) as vault:
        yield vault


# The echo of our own write

EDITS = (
    pytest.param({"annotations": {"keyturn.dev/rotate": "one"}}, id="a token"),
    pytest.param({"labels": {"team": "shop"}}, id="a label"),
    pytest.param({"spec": unknown_generator("another")}, id="a specification"),
    pytest.param({"deletionTimestamp": "2030-01-01T00:00:00Z"}, id="a deletion"),
)


@pytest.mark.parametrize("has_metadata", [False, True], ids=["bare", "with metadata"])
@pytest.mark.parametrize("comes", ["before the reply", "after the work"])
async def test_our_own_write_alone_is_not_looked_at(
    comes: str, desk: Desk, stored: Stored, *, has_metadata: bool
) -> None:
    metadata = {"labels": {"team": "shop"}, "annotations": {"owner": "jo"}} if has_metadata else {}
    desk.hear(stored.edit(**metadata))
    if comes == "before the reply":
        stored.after_write = lambda: desk.hear(stored.told())

    await desk.work()
    if comes == "after the work":
        desk.hear(stored.told())

    assert len(stored.patches) == 1
    assert len(desk.queue) == 0


async def test_our_own_write_is_known_again_though_the_reply_leaves_empty_fields_out(
    desk: Desk, stored: Stored
) -> None:
    desk.hear({**stored.told(), "metadata": {**stored.told()["metadata"], "annotations": {}}})

    await desk.work()
    desk.hear(stored.told())

    assert len(desk.queue) == 0


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize(
    "batched", [pytest.param(True, id="batched"), pytest.param(False, id="one by one")]
)
@pytest.mark.parametrize("comes", ["before the reply", "after the work"])
async def test_an_edit_beneath_our_own_write_is_looked_at(
    comes: str, edit: Json, desk: Desk, stored: Stored, *, batched: bool
) -> None:
    told: list[Json] = []

    def tell() -> None:
        for body in told[-1:] if batched else told:
            desk.hear(body)

    def written() -> None:
        told.append(stored.told())
        if comes == "before the reply":
            tell()

    stored.before_write = lambda: told.append(stored.edit(**edit))
    stored.after_write = written
    desk.hear(stored.told())

    await desk.work()
    if comes == "after the work":
        tell()

    assert len(desk.queue) == 1
    heard = (await desk.queue.get()).body
    assert heard is not None
    assert edit.items() <= {"spec": heard["spec"], **heard["metadata"]}.items()


# The Events that something is wrong


async def test_an_error_that_persists_is_told_by_one_event(vault: Vault) -> None:
    world = world_of()
    engine = await Engine(vault, world).start()
    stored = Stored({"data": world.data, "rotation": world.rotation})
    reconciler = reconciler_of(stored, Around(engine))

    with failing(world.target, "accepts", TargetUnavailableError("it does not answer")):
        await engine.settle()
        for _ in range(3):
            await reconciler.reconcile(Work(NAME))
            await engine.later(minutes=5)
    await engine.stop()

    assert [patch["rotation"]["failures"] for patch in stored.patches] == [1, 2, 3]
    assert stored.notices == [Notice.NOT_READY]


async def test_a_rotation_that_cannot_begin_is_told_once_although_the_secret_is_ready(
    vault: Vault,
) -> None:
    world = world_of()
    engine = await Engine(vault, world).start()
    await engine.settle()
    stored = Stored({"data": world.data, "rotation": world.rotation})
    reconciler = reconciler_of(stored, Around(engine))

    async def ask_in_vain(token: str) -> None:
        world.settings_error = SourceNotFoundError("the rotator is gone")
        world.token = token
        stored.edit(annotations={"keyturn.dev/rotate": token})
        for _ in range(3):
            await reconciler.reconcile(Work(NAME))
            await engine.later(minutes=30)

    await ask_in_vain("one")
    assert stored.notices == [Notice.ROTATION_HINDERED]

    world.settings_error = None
    await engine.later(minutes=30)
    await reconciler.reconcile(Work(NAME))
    await ask_in_vain("two")
    assert stored.notices == [Notice.ROTATION_HINDERED] * 2
    ready, rotated = stored.body["status"]["conditions"]
    assert (ready["status"], rotated["reason"]) == ("True", "CreatePendingFailed")
    await engine.stop()


async def test_a_first_one_that_cannot_begin_is_told_by_one_event_too(vault: Vault) -> None:
    world = world_of()
    world.settings_error = SourceNotFoundError("the rotator is gone")
    engine = await Engine(vault, world).start()
    stored = Stored({"data": world.data, "rotation": world.rotation})
    reconciler = reconciler_of(stored, Around(engine))

    for _ in range(3):
        await reconciler.reconcile(Work(NAME))
        await engine.later(minutes=30)
    await engine.stop()

    assert stored.notices == [Notice.NOT_READY]


# What a reconcile that failed early leaves as it was


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(None, id="a specification that is none"),
        pytest.param(StorageFullError("no space"), id="a full disk"),
        pytest.param(DeniedError("no"), id="a refusal"),
    ],
)
async def test_one_that_is_cut_short_says_only_that(
    error: KeyturnError | None, vault: Vault
) -> None:
    world = world_of(schedule="0 3 * * *")
    engine = await Engine(vault, world).start()
    await engine.settle()
    stored = Stored({"data": world.data, "rotation": world.rotation})
    around = Around(engine)
    reconciler = reconciler_of(stored, around)
    await reconciler.reconcile(Work(NAME))
    before = stored.told()["status"]

    stored.edit(spec=unknown_generator() if error is None else stored.body["spec"])
    around.error = error
    with suppress(StorageFullError):
        await reconciler.reconcile(Work(NAME))
    await engine.stop()

    after = stored.body["status"]
    assert {"currentVersion", "history", "nextRotationTime", "rotations", "targets"} <= {*before}
    assert stored.patches[-1].keys() == {"observedGeneration", "conditions"}
    ready, *others = after["conditions"]
    assert (ready["type"], ready["status"], ready["observedGeneration"]) == ("Ready", "False", 2)
    assert others == before["conditions"][1:] != []


# What a rotation waits for


async def test_a_rotation_ends_although_a_secret_to_merge_into_is_not_there(vault: Vault) -> None:
    """It keeps no old credential, and nobody knows whether it ever comes."""
    engine = await Engine(vault, world_of()).start()
    await engine.one_turn()
    await engine.stop()
    stored = Stored({"data": engine.world.data, "rotation": engine.world.rotation})
    around = Around(engine)

    around.unprojected = SecretMissingError("the Secret shared does not exist yet")
    await reconciler_of(stored, around).reconcile(Work(NAME))

    (first,) = await engine.rotations_of()
    assert first.outcome is Outcome.SUCCEEDED


async def test_a_rotation_begins_only_after_every_secret_was_written(vault: Vault) -> None:
    world = world_of()
    engine = await Engine(vault, world).start()
    await engine.settle()
    await engine.stop()
    stored = Stored({"data": world.data, "rotation": world.rotation})
    around = Around(engine)
    reconciler = reconciler_of(stored, around)
    stored.edit(annotations={"keyturn.dev/rotate": "one"})

    around.left_behind = DeniedError("no")
    await reconciler.reconcile(Work(NAME))
    assert not engine.pool
    rotated = next(c for c in stored.body["status"]["conditions"] if c["type"] == "Rotated")
    assert rotated["reason"] == "CreatePendingFailed"

    around.left_behind = None
    await reconciler.reconcile(Work(NAME))
    assert len(engine.pool) == 1
