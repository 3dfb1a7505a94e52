"""The real engine on a real store, against a target in which everything goes wrong, many times.

Each seed is one story: operators are killed, stand still and go on after others took over; the
target refuses, doubts, delays and is cut off; people ask, cancel and go back. After each act the
target must take a credential that the store holds, and in the end all is in step. A seed that
fails is shown by pytest, and tells the same story again.
"""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from random import Random

import pytest

from keyturn.bootstrap.vault import Vault
from keyturn.domain.errors import (
    ConflictError,
    InvalidSpecError,
    KeyturnError,
    TargetRefusedError,
    TargetUnavailableError,
    VersionNotFoundError,
)
from keyturn.domain.rotation import Cause
from keyturn.services.rotation.pending import Wanted
from rotation_office import (
    BEGINNING,
    FakeSession,
    KilledError,
    Login,
    Operator,
    Statement,
    World,
    opened,
    world_of,
)

SEEDS = 40
STEPS = 25

KINDS = {
    "single": ("SingleUser", False),
    "alternating": ("AlternatingUsers", False),
    "coexisting": ("SingleUser", True),
}


@dataclass
class Story:
    """One seed: what happens, and what must hold all along."""

    vault: Vault
    world: World
    random: Random
    is_alternating: bool
    operators: list[Operator] = field(default_factory=list)
    paused: dict[int, "asyncio.Future[None]"] = field(default_factory=dict)
    mishaps: float = 0.06
    has_begun: bool = False
    set_for: dict[int, Login] = field(default_factory=dict)

    @property
    def newest(self) -> Operator:
        return self.operators[-1]

    def chance(self, share: float) -> bool:
        return self.random.random() < share * (self.mishaps > 0)

    async def act(self, session: FakeSession, act: str, login: Login | None) -> None:
        """Let something go wrong with an act, or not."""
        await self.check()
        if act == "set":
            self._note_value(session, login)
        if not self.chance(4 * self.mishaps):
            return
        match self.random.choice(("kill", "pause", "cut", "doubt", "refuse", "delay", "after")):
            case "kill":
                raise KilledError
            case "pause":
                await self._pause(session)
            case "cut":
                session.is_open = False
                self.world.target.release(session)
                raise TargetUnavailableError("cut off")
            case "doubt":
                raise TargetUnavailableError("no reply")
            case "refuse" if act in ("set", "retire"):
                raise TargetRefusedError("not now")
            case "delay" if act in ("set", "retire") and login is not None:
                self.world.target.delayed.append(Statement(session, act, login))
                raise TargetUnavailableError("no reply yet")
            case "after" if act == "set" and login is not None and session.is_open:
                self.world.target.do(act, login)
                await self.check()
                raise KilledError
            case _:
                pass

    def _note_value(self, session: FakeSession, login: Login | None) -> None:
        """Hold that a rotation has one value, however often it begins anew."""
        pending = session.order.pending
        if pending is not None and login is not None and login.username in ("app", "app_clone"):
            current = session.order.current
            if current is None or login.password not in _passwords(current):
                assert self.set_for.setdefault(pending.version, login) == login

    async def _pause(self, session: FakeSession) -> None:
        going_on: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.paused[id(session)] = going_on
        await going_on
        if self.chance(0.5):
            session.is_open = False
            self.world.target.release(session)

    async def check(self) -> None:
        """The target takes a stored credential; where two can stand, the current one."""
        stored, accepted = await self.newest.stored(), self.world.target.accepted
        assert accepted & set(stored.values()), f"lost: {stored} are not in {accepted}"
        can_two_stand = self.is_alternating or self.world.target.coexists
        if can_two_stand and "Current" in stored:
            assert stored["Current"] in accepted, f"gap: {stored} and {accepted}"

    async def start(self) -> None:
        """Let a new operator take over; the ones before may not know it yet."""
        self.operators.append(await Operator(self.vault, self.world).start())

    async def look(self, operator: Operator) -> None:
        """Let an operator do what it can at this time; one that is killed is followed by another."""
        try:
            await operator.settle(is_still=lambda: bool(self.paused))
        except KilledError:
            await operator.stop()
            if operator is self.newest:
                await self.start()
        except KeyturnError:
            # One that was replaced: its process ends.
            assert operator is not self.newest
        await self.check()

    async def step(self) -> None:
        operator, world, random = self.newest, self.world, self.random
        match random.choice(
            (
                "request",
                "request",
                "later",
                "later",
                "cancel",
                "take over",
                "go on",
                "go on",
                "change",
                "roll back",
                "settle",
                "settle",
                "old one",
            )
        ):
            case "request":
                world.token = str(random.random())
            case "later":
                world.now += timedelta(seconds=random.choice((1, 5, 60, 4000)))
            case "cancel":
                with_person = operator.rotations.cancel(await operator.secret(), "jo")
                await self._as_person(with_person)
            case "take over":
                await self.start()
            case "go on" if self.paused:
                self.paused.pop(random.choice(sorted(self.paused))).set_result(None)
            case "change":
                world.change("host", f"host-{random.random()}")
            case "roll back" if not self.paused:
                secret = await operator.secret()
                number = random.randint(1, len(secret.versions)) if secret.versions else 1
                wanted = Wanted(Cause.ROLLBACK, "jo", back_to=number)
                beginning = operator.rotations.begin(operator.resource(), secret, wanted)
                await self._as_person(beginning)
            case "settle" if world.target.delayed:
                statement = random.choice(world.target.delayed)
                world.target.settle(statement, happens=random.random() < 0.7)
            case "old one" if len(self.operators) > 1:
                await self.look(random.choice(self.operators[:-1]))
            case _:
                pass
        await self.look(self.newest)

    async def _as_person(self, asking: "asyncio.Future[object] | object") -> None:
        try:
            async with asyncio.timeout(2):
                await asking  # type: ignore[misc]
        except (ConflictError, InvalidSpecError, VersionNotFoundError, TimeoutError):
            pass
        except (KeyturnError, asyncio.CancelledError):
            pass

    async def end(self) -> None:
        """Nothing goes wrong any more: all comes in step."""
        self.mishaps = 0
        for statement in list(self.world.target.delayed):
            self.world.target.settle(statement, happens=True)
        for going_on in self.paused.values():
            going_on.set_result(None)
        self.paused.clear()
        for operator in self.operators[:-1]:
            await self.look(operator)
            await operator.stop()
        await self.newest.stop()
        await self.start()
        for _ in range(40):
            await self.newest.later(minutes=20)
        stored = await self.newest.stored()
        assert "Pending" not in stored
        assert stored["Current"] in self.world.target.accepted
        assert self.world.projected == stored["Current"]
        assert all(not each.is_open for each in await self.newest.rotations_of())
        await self.newest.stop()


def _passwords(credential: object) -> set[str]:
    value = credential.values["password"]  # type: ignore[attr-defined]
    return {bytes(value.reveal()).decode()}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(SEEDS))
async def test_whatever_goes_wrong_no_credential_is_lost(
    tmp_path: Path, kind: str, seed: int
) -> None:
    strategy, coexists = KINDS[kind]
    world = world_of(strategy, coexists=coexists, interval="2h", overlap="10m", maxFailures=3)
    async with opened(tmp_path) as vault:
        first = await Operator(vault, world).start()
        await first.settle()
        story = Story(
            vault, world, Random(f"{kind} {seed}"), strategy == "AlternatingUsers", [first]
        )
        world.target.acts = story.act
        for _ in range(STEPS):
            await story.step()
        await story.end()
    assert world.now > BEGINNING
