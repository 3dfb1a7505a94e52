"""The real engine on a real store, against a target in which everything goes wrong, many times.

Each seed is one story: operators are killed, stand still and go on after others took over; the
target refuses, doubts, delays and is cut off; people ask, cancel and go back. After each act the
target must take a credential that the store holds, no previous one ends before its time unless
somebody asks for another, and in the end all is in step, and the target takes nothing that the
store has forgotten. The seed is in the name of the test, and tells the same story again;
`SIMULATION_SEEDS` asks for more of them.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from fleet import Login
from keyturn.bootstrap.vault import Vault
from keyturn.domain.errors import KeyturnError, TargetRefusedError, TargetUnavailableError
from keyturn.domain.rotation import Cause
from keyturn.services.rotation.pending import Wanted
from rotation_office import (
    FakeSession,
    KilledError,
    Operator,
    Statement,
    World,
    login_of,
    world_of,
)
from vaults import opened

SEEDS = int(os.environ.get("SIMULATION_SEEDS", "12"))
STEPS = 25
SHARE = 0.25
"""How many of the acts go wrong, or may."""

Mishap = Callable[[FakeSession, str, Login | None], Awaitable[None]]

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
    can_two_stand: bool
    operators: list[Operator] = field(default_factory=list)
    paused: dict[int, "asyncio.Future[None]"] = field(default_factory=dict)
    values: dict[int, Login] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    is_quiet: bool = False
    was_asked_back: bool = False

    @property
    def newest(self) -> Operator:
        return self.operators[-1]

    # What must hold

    def require(self, *, holds: bool, otherwise: str) -> None:
        """Note what is broken: the engine itself takes an exception for one of the rotator."""
        if not holds:
            self.broken.append(otherwise)

    async def check(self) -> None:
        """The target takes a stored credential; where two can stand, the current one."""
        stored, accepted = await self.newest.stored(), self.world.target.accepted
        told = f"{stored} in the store, {accepted} in the target"
        self.require(holds=bool(accepted & set(stored.values())), otherwise=f"lost: {told}")
        if self.can_two_stand and "Current" in stored:
            self.require(holds=stored["Current"] in accepted, otherwise=f"gap: {told}")

    def note_value(self, session: FakeSession, login: Login | None) -> None:
        """Hold that a rotation has one value, however often it begins anew."""
        pending, current = session.order.pending, session.order.current
        if pending is None or login is None or login != login_of(pending):
            return
        if current is None or login != login_of(current):
            first = self.values.setdefault(pending.version, login)
            self.require(holds=first == login, otherwise=f"two values of {pending.version}")

    async def check_end(self, session: FakeSession, login: Login | None) -> None:
        """No previous credential ends before its time; only what a person asks for ends it."""
        if session.order.pending is not None or login not in self.world.target.accepted:
            return
        journal = await self.newest.journal.journal((await self.newest.secret()).id)
        state = journal.state
        until = None if state is None else state.retire_at
        is_asked = state is not None and state.handled_token != self.world.token
        is_over = until is None or until <= self.world.now
        self.require(
            holds=is_over or is_asked or self.was_asked_back,
            otherwise=f"{login} ended at {self.world.now}, before {until}",
        )

    # What goes wrong

    async def act(self, session: FakeSession, act: str, login: Login | None) -> None:
        """Let something go wrong with an act, or not."""
        await self.check()
        if act == "set":
            self.note_value(session, login)
        if act == "retire":
            await self.check_end(session, login)
        if self.is_quiet or self.random.random() > SHARE:
            return
        mishaps: list[Mishap] = [self.kill, self.pause, self.cut, self.doubt]
        if act in ("set", "retire"):
            mishaps += [self.refuse, self.delay, self.kill_afterwards]
        await self.random.choice(mishaps)(session, act, login)

    async def kill(self, *_: object) -> None:
        raise KilledError

    async def pause(self, session: FakeSession, *_: object) -> None:
        """Stand still; when it goes on, the connection may have been cut meanwhile."""
        going_on: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.paused[id(session)] = going_on
        await going_on
        if self.random.random() < 0.5:
            session.is_open = False
            self.world.target.release(session)

    async def cut(self, session: FakeSession, *_: object) -> None:
        session.is_open = False
        self.world.target.release(session)
        raise TargetUnavailableError("cut off")

    async def doubt(self, *_: object) -> None:
        raise TargetUnavailableError("no reply")

    async def refuse(self, *_: object) -> None:
        raise TargetRefusedError("not now")

    async def delay(self, session: FakeSession, act: str, login: Login | None) -> None:
        if login is not None and session.is_open:
            self.world.target.delayed.append(Statement(session, act, login))
            raise TargetUnavailableError("no reply yet")

    async def kill_afterwards(self, session: FakeSession, act: str, login: Login | None) -> None:
        if login is not None and session.is_open:
            self.world.target.do(act, login)
            await self.check()
            raise KilledError

    async def before_write(self) -> None:
        """Stand still before a write to the store, or not; others may act meanwhile."""
        if not self.is_quiet and self.random.random() < SHARE / 4:
            going_on: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self.paused[id(going_on)] = going_on
            await going_on
            if self.random.random() < 0.5 and self.world.target.holder is not None:
                holder = self.world.target.holder
                holder.is_open = False
                self.world.target.release(holder)

    # What happens

    async def step(self) -> None:
        """Let something happen, and the newest operator do what it can."""
        happenings = [self.request, self.wait, self.cancel, self.take_over, self.go_on]
        happenings += [self.request, self.wait, self.change, self.roll_back, self.go_on]
        happenings += [self.take_effect, self.take_effect, self.older_one]
        await self.random.choice(happenings)()
        await self.look(self.newest)
        self.was_asked_back &= bool(self.paused)
        assert not self.broken

    async def request(self) -> None:
        self.world.token = str(self.random.random())

    async def wait(self) -> None:
        self.world.now += timedelta(seconds=self.random.choice((1, 5, 60, 4000)))

    async def cancel(self) -> None:
        operator = self.newest
        await as_person(operator.rotations.cancel(await operator.secret(), "jo"))

    async def take_over(self) -> None:
        """Let a new operator take over; the ones before may not know it yet."""
        self.operators.append(await Operator(self.vault, self.world).start())

    async def go_on(self) -> None:
        if self.paused:
            self.paused.pop(self.random.choice(list(self.paused))).set_result(None)

    async def change(self) -> None:
        self.world.change("host", f"host-{self.random.random()}")

    async def roll_back(self) -> None:
        if self.paused:
            return
        self.was_asked_back = True
        operator, secret = self.newest, await self.newest.secret()
        wanted = Wanted(Cause.ROLLBACK, "jo", back_to=self.random.choice(secret.versions).number)
        await as_person(operator.rotations.begin(operator.resource(), secret, wanted))

    async def take_effect(self) -> None:
        """Let a statement that was delayed take effect at last, or never."""
        target = self.world.target
        if target.delayed:
            statement = self.random.choice(target.delayed)
            target.settle(statement, happens=self.random.random() < 0.7)

    async def older_one(self) -> None:
        if len(self.operators) > 1:
            await self.look(self.random.choice(self.operators[:-1]))

    async def look(self, operator: Operator) -> None:
        """Let an operator do what it can at this time; one that is killed is replaced."""
        try:
            await operator.settle(is_still=lambda: bool(self.paused))
        except KilledError:
            await operator.stop()
            if operator is self.newest:
                await self.take_over()
        await self.check()

    async def end(self) -> None:
        """Nothing goes wrong any more: all comes in step."""
        self.is_quiet = True
        target = self.world.target
        while target.delayed:
            target.settle(target.delayed[0], happens=True)
        while self.paused:
            await self.go_on()
        for operator in self.operators:
            await self.look(operator)
            await operator.stop()
        await self.take_over()
        for _ in range(20):
            await self.newest.later(minutes=20)
        assert not self.broken
        stored = await self.newest.stored()
        assert "Pending" not in stored
        assert stored["Current"] in target.accepted
        assert target.accepted <= set(stored.values())
        assert self.world.projected == stored["Current"]
        assert not [each for each in await self.newest.rotations_of() if each.is_open]
        await self.newest.stop()


async def as_person(asking: Coroutine[Any, Any, object]) -> None:
    """Ask as a person does, who is refused at times, and does not wait for ever."""
    with suppress(KeyturnError, TimeoutError, asyncio.CancelledError):
        async with asyncio.timeout(1):
            await asking


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(SEEDS))
async def test_whatever_goes_wrong_no_credential_is_lost(
    tmp_path: Path, kind: str, seed: int
) -> None:
    strategy, coexists = KINDS[kind]
    world = world_of(
        strategy, coexists=coexists, interval="2h", overlap={"max": "10m"}, maxFailures=3
    )
    chance = Random(f"{kind} {seed}")  # noqa: S311 - a story, no secret
    async with opened(tmp_path) as vault:
        first = await Operator(vault, world).start()
        await first.settle()
        story = Story(vault, world, chance, kind != "single", [first])
        world.target.acts, world.before_write = story.act, story.before_write
        for _ in range(STEPS):
            await story.step()
        await story.end()
