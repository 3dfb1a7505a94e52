"""The rotation engine on a real store, with a target, a clock and operators of the test's own.

What the cluster does for an operator is done here as plainly as can be. Every act in the target
passes `FakeTarget.acts`, where a test may let it fail, stand still, or kill the operator.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from fleet import Fleet, Login
from keyturn import plugins
from keyturn.bootstrap.vault import Vault
from keyturn.domain.errors import (
    InvalidParameterError,
    KeyturnError,
    TargetLockedError,
    TargetUnavailableError,
)
from keyturn.domain.managed_secret import ManagedSecret
from keyturn.domain.payload import SecretValue
from keyturn.domain.recovery import Retention
from keyturn.domain.rotation import RotatorRef, Strategy
from keyturn.domain.rotation_event import Channel
from keyturn.domain.rotator import AdminKind, AdminRef, RotatorSettings
from keyturn.domain.secret import Secret, SecretName
from keyturn.domain.version import VersionReason
from keyturn.kube.resources import parse
from keyturn.rotators.interface import Credential, Order, Target, Traits
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

NAME = SecretName("shop", "db")
BEGINNING = datetime(2026, 3, 1, 12, tzinfo=UTC)
CHANNELS = (Channel.SINK,)
REF = RotatorRef("Rotator", "orders")
DEADLINE = 20.0


class KilledError(BaseException):
    """The operator is killed here: nothing of ours may catch it."""


Acts = Callable[["FakeSession", str, Login | None], Awaitable[None]]
"""Called before an act (`lock`, `accepts`, `set`, `retire`, `verify`, `close`) is done."""


async def _nothing(session: "FakeSession", act: str, login: Login | None) -> None:
    """Let every act be done."""


async def written() -> None:
    """Let every write be done."""


def login_of(credential: Credential) -> Login:
    values = {name: bytes(value.reveal()).decode() for name, value in credential.values.items()}
    return Login(values.get("username", "app"), values["password"])


@dataclass
class Statement:
    """What the target was told and has not done yet."""

    session: "FakeSession"
    act: str
    login: Login


@dataclass
class FakeTarget:
    """Users and their passwords: one of each, or, where they coexist, any number."""

    coexists: bool = False
    accepted: set[Login] = field(default_factory=set)
    holder: "FakeSession | None" = None
    delayed: list[Statement] = field(default_factory=list)
    acts: Acts = _nothing
    done: list[tuple[str, Login | None]] = field(default_factory=list)
    has_admin: bool = True
    issues: bool = False
    has_users: bool = True
    call_seconds: float = 0.0

    def do(self, act: str, login: Login) -> None:
        if self.coexists:
            self.accepted -= {login}
        else:
            self.accepted = {each for each in self.accepted if each.username != login.username}
        if act == "set":
            self.accepted |= {login}

    def release(self, session: "FakeSession") -> None:
        """End a session; a statement that is under way keeps its lock."""
        under_way = any(statement.session is session for statement in self.delayed)
        if self.holder is session and not under_way:
            self.holder = None

    def settle(self, statement: Statement, *, happens: bool) -> None:
        """Let a statement that is under way take effect or not."""
        self.delayed.remove(statement)
        if not statement.session.is_open:
            self.release(statement.session)
        if happens:
            self.do(statement.act, statement.login)


class FakeSession:
    """A session that keeps what `keyturn.rotators.interface.Session` promises."""

    def __init__(self, target: FakeTarget, order: Order) -> None:
        self.target, self.order = target, order
        self.is_open = True

    async def _act(self, act: str, login: Login | None = None) -> None:
        await self.target.acts(self, act, login)
        self.target.done.append((act, login))
        if not self.is_open:
            raise TargetUnavailableError("the connection is gone")

    async def accepts(self, credential: Credential) -> bool:
        await self.target.acts(self, "accepts", login_of(credential))
        self.target.done.append(("accepts", login_of(credential)))
        return login_of(credential) in self.target.accepted

    async def set(self, pending: Credential) -> None:
        await self._act("set", login_of(pending))
        self.target.do("set", login_of(pending))

    async def retire(self, old: Credential, kept: Sequence[Credential]) -> None:
        await self._act("retire", login_of(old))
        if login_of(old) in self.target.accepted:
            self.target.do("retire", login_of(old))

    async def holds_lock(self) -> bool:
        await self.target.acts(self, "verify", None)
        return self.is_open and self.target.holder is self

    async def issue(self, current: Credential) -> Mapping[str, SecretValue]:
        await self._act("issue", login_of(current))
        return {"password": SecretValue(b"issued"), "unknown": SecretValue(b"to nobody")}


class FakeRotator:
    """A rotator for the target of a test."""

    def __init__(self, target: FakeTarget) -> None:
        self._target = target

    def check(self, parameters: Mapping[str, Any]) -> None:
        if parameters:
            raise InvalidParameterError("it has no parameters")

    def traits(self, parameters: Mapping[str, Any]) -> Traits:
        names = ("username", "password") if self._target.has_users else ("password",)
        return Traits(
            strategies=frozenset({Strategy.SINGLE_USER, Strategy.ALTERNATING_USERS}),
            values={name: name for name in names},
            required=frozenset(names),
            rotated=frozenset({"password"}),
            has_lock=True,
            coexists=self._target.coexists,
            issues=self._target.issues,
            call_seconds=self._target.call_seconds,
        )

    @asynccontextmanager
    async def session(self, target: Target, order: Order) -> AsyncIterator[FakeSession]:
        session = FakeSession(self._target, order)
        await self._target.acts(session, "lock", None)
        if self._target.holder is not None:
            raise TargetLockedError("another session holds the lock")
        self._target.holder = session
        try:
            yield session
            await self._target.acts(session, "close", None)
        finally:
            session.is_open = False
            self._target.release(session)


class FakeLease:
    """A lease that is held as the test says."""

    def __init__(self) -> None:
        self.held, self.lost = asyncio.Event(), asyncio.Event()
        self.held.set()
        self.is_sure = True

    def may_act(self) -> bool:
        return self.is_sure and not self.lost.is_set()


class FakeCalendar:
    """Keeps the due times; the test says when they come."""

    def __init__(self) -> None:
        self.due: dict[SecretName, datetime] = {}

    def set(self, name: SecretName, when: datetime | None, _: Callable[[], None]) -> None:
        self.due.pop(name, None)
        if when is not None:
            self.due[name] = when


@dataclass
class World:
    """What is outside of the operators."""

    target: FakeTarget
    rotation: dict[str, Any] | None
    now: datetime = BEGINNING
    data: list[dict[str, Any]] = field(default_factory=list)
    token: str = ""
    generation: int = 1
    given: dict[str, str] = field(default_factory=dict)
    allowed: tuple[str, ...] = ()
    uid: str = "of the rotator"
    settings_error: Exception | None = None
    left_behind: KeyturnError | None = None
    projected: Login | None = None
    before_write: Callable[[], Awaitable[None]] = written
    before_begin: Callable[[], Awaitable[None]] = written
    consumers: dict[str, Any] | None = None
    fleet: Fleet | None = None

    def __post_init__(self) -> None:
        self.data = self.data or [
            {"key": "username", "value": "app"},
            {"key": "password", "generate": {"password": {"length": 12, "symbols": 0}}},
        ]

    def change(self, key: str, value: str) -> None:
        """Change the resource: a value that is written in it."""
        self.data = [entry for entry in self.data if entry["key"] != key]
        self.data.append({"key": key, "value": value})
        self.generation += 1

    def rotated_by(self, **rotation: Any) -> None:
        """Change `spec.rotation`; a field that is None is left out."""
        asked = {**(self.rotation or {}), **rotation}
        self.rotation = {name: value for name, value in asked.items() if value is not None}
        self.generation += 1


class _Importing:
    def __init__(self, world: World) -> None:
        self._world = world

    async def complete(self, plan: Plan, *_: object) -> Plan:
        given = {k: SecretValue(v.encode()) for k, v in self._world.given.items()}
        return replace(plan, given=given, reason=VersionReason.IMPORTED) if given else plan

    async def refuse_rollback(self, *_: object) -> None:
        """Nothing can contradict the store here."""


class _Aiming(Aiming):
    def __init__(self, world: World) -> None:
        self._world = world
        self._catalogue = cast("Any", self)

    def find(self, _: str) -> FakeRotator:
        return FakeRotator(self._world.target)

    async def settings(self, name: SecretName, ref: RotatorRef) -> RotatorSettings:
        if self._world.settings_error is not None:
            raise self._world.settings_error
        has_admin = self._world.target.has_admin
        return RotatorSettings(
            ref=ref,
            uid=self._world.uid,
            type="fake",
            parameters={},
            author_checked=True,
            admin=AdminRef(AdminKind.NATIVE, "shop", "admin") if has_admin else None,
            allowed_usernames=self._world.allowed,
            timeout=1.0,
        )

    @asynccontextmanager
    async def aim(
        self, resource: ManagedSecret, rotation: Any, settings: RotatorSettings | None
    ) -> AsyncIterator[Aim]:
        rotator, traits, roles = self.match(resource, rotation, settings)
        target = NOWHERE if settings is None else Target({}, timeout=1.0)
        yield Aim(rotator, target, traits, roles, settings, resource.namespace)


class SteppedJournal:
    """The journal of the store, with a place to stand still before each write of a run."""

    def __init__(self, journal: RotationJournal, world: World) -> None:
        self._journal, self._world = journal, world

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._journal, name)
        if name not in ("begin", "record", "promote", "drop", "record_retired", "fail", "give_up"):
            return method

        async def stepped(*args: Any, **kwargs: Any) -> Any:
            world = self._world
            await (world.before_begin() if name == "begin" else world.before_write())
            return await method(*args, **kwargs)

        return stepped


class Operator:
    """The rotation engine of one operator."""

    def __init__(self, vault: Vault, world: World) -> None:
        self.vault, self.world = vault, world
        self.journal = vault.store.rotations
        stepped = cast("RotationJournal", SteppedJournal(self.journal, world))
        self.changed = asyncio.Event()
        self.lease, self.calendar = FakeLease(), FakeCalendar()
        self.looks = 0
        self._generating = Generating(plugins.load("keyturn.generators"), None, self.now)
        importing = cast("Any", _Importing(world))
        fingerprint = vault.keys.fingerprint
        sourcing = Sourcing(
            vault.versions,
            self._generating,
            cast("Any", None),
            importing,
            fingerprint,
            lambda *_: None,
        )
        self.leadership = Leadership(self.journal, self.lease)
        aiming = _Aiming(world)
        pending = PendingVersions(vault.versions, sourcing, fingerprint)
        self.performing = Performing(
            vault.store,
            stepped,
            vault.versions,
            aiming=aiming,
            pending=pending,
            leadership=self.leadership,
            view_of=lambda _: cast("Any", None),
            channels=CHANNELS,
            told=lambda: None,
            clock=self.now,
        )
        self.pool = RotationPool(2)
        self.rotations = Rotations(
            self.journal,
            sourcing,
            pending=pending,
            aiming=aiming,
            performing=self.performing,
            pool=self.pool,
            calendar=cast("Any", self.calendar),
            leadership=self.leadership,
            follow=lambda *_: None,
            gate=self._gate(),
            changed=lambda _: self.changed.set(),
            telling=lambda: Telling(self.now(), CHANNELS),
            told=lambda: None,
            clock=self.now,
        )
        self.working: asyncio.Task[None] | None = None

    def now(self) -> datetime:
        return self.world.now

    def _gate(self) -> ConsumerGate | None:
        fleet = self.world.fleet
        if fleet is None:
            return None
        return ConsumerGate(fleet, self.journal, self.leadership, self.now)

    async def start(self) -> "Operator":
        """Take the epoch, and work from now on."""
        await self.leadership.take()
        self.working = asyncio.create_task(self.pool.run())
        self.changed.set()
        return self

    async def stop(self) -> None:
        if self.working is not None:
            self.working.cancel()
            with suppress(asyncio.CancelledError, BaseExceptionGroup):
                await self.working

    @property
    def is_dead(self) -> bool:
        return self.working is not None and self.working.done()

    def resource(self) -> ManagedSecret:
        world = self.world
        body = {
            "apiVersion": "keyturn.dev/v1alpha1",
            "kind": "ManagedSecret",
            "metadata": {
                "name": NAME.name,
                "namespace": NAME.namespace,
                "uid": "uid-of-db",
                "generation": world.generation,
                "annotations": {"keyturn.dev/rotate": world.token} if world.token else {},
            },
            "spec": {"data": world.data, "rotation": world.rotation},
        }
        if world.rotation is None:
            del body["spec"]["rotation"]  # type: ignore[attr-defined]
        if world.consumers is not None:
            body["spec"]["consumers"] = world.consumers  # type: ignore[index]
        return parse(body, outputs_of=self._generating.outputs_of)

    async def secret(self) -> Secret:
        attachment = Attachment("uid-of-shop", NAME, "uid-of-db", Retention(), b"manifest")
        return await self.vault.store.attach(attachment, now=self.now())

    async def reconcile(self) -> Look:
        """Look, project, and end the rotation that is projected."""
        self.looks += 1
        resource, nothing = self.resource(), cast("Any", None)
        look = await self.rotations.look(resource, await self.secret(), nothing, has_failed=False)
        if look.secret.stages.current is None:
            return look
        self.world.projected = await self.login(look.secret, look.secret.stages.current)
        if self.world.fleet is not None:
            self.world.fleet.shows(look.secret.stages.current, self.world.projected, self.now())
        if resource.spec.rotation is None:
            return look
        look = self.rotations.shown(look, self.world.left_behind)
        if self.world.left_behind is not None:
            return look
        return await self.rotations.projected(look, resource.spec.rotation)

    async def settle(self, *, is_still: Callable[[], bool] = lambda: False) -> Look:
        """Reconcile until nothing happens any more at this time of the clock."""
        async with asyncio.timeout(DEADLINE):
            while True:
                self.changed.clear()
                look = await self.reconcile()
                while self.pool and not self.changed.is_set() and not is_still():
                    if self.is_dead:
                        raise KilledError
                    await asyncio.sleep(0.0005)
                if self.is_dead:
                    raise KilledError
                if not self.changed.is_set():
                    return look

    async def one_turn(self) -> None:
        """Reconcile once, and wait for the end of what that began; nobody looks at it yet."""
        self.changed.clear()
        await self.reconcile()
        async with asyncio.timeout(DEADLINE):
            await self.changed.wait()

    async def later(self, **passed: float) -> Look:
        """Let time pass, and do what is due then."""
        self.world.now += timedelta(**passed)
        return await self.settle()

    async def login(self, secret: Secret, number: int) -> Login:
        with await self.vault.versions.open(secret, number) as payload:
            values = {key: bytes(payload[key].reveal()).decode() for key in payload}
        return Login(values["username"], values["password"])

    async def stored(self) -> dict[str, Login]:
        """Give the credentials that the store holds, by their stage."""
        secret = await self.secret()
        stages = secret.stages.versions
        return {stage.value: await self.login(secret, number) for stage, number in stages.items()}

    async def rotations_of(self) -> Sequence[Any]:
        return (await self.journal.journal((await self.secret()).id)).rotations


def world_of(strategy: str = "SingleUser", *, coexists: bool = False, **rotation: Any) -> World:
    """Make a world in which the user `app` exists, whose password a native Secret holds."""
    target = FakeTarget(coexists=coexists, accepted={Login("app", "seed")})
    asked = {"rotatorRef": REF._asdict(), "strategy": strategy, **rotation}
    return World(target, asked, given={"password": "seed"})


@contextmanager
def failing(target: FakeTarget, act: str, error: BaseException) -> Iterator[None]:
    """Let an act fail before it is done."""
    before = target.acts

    async def acts(session: FakeSession, done: str, login: Login | None) -> None:
        if done == act:
            raise error
        await before(session, done, login)

    target.acts = acts
    try:
        yield
    finally:
        target.acts = before


async def started_with_pods(vault: Vault, world: World) -> Operator:
    """Start an operator, and a Deployment with the first version."""
    operator = await Operator(vault, world).start()
    await operator.settle()
    assert world.fleet is not None
    world.now += timedelta(hours=1)
    world.fleet.deploy("web", world.now)
    return operator


def fleet_of(operator: Operator) -> Fleet:
    """The pods that use the secret of an operator's world."""
    assert operator.world.fleet is not None
    return operator.world.fleet
