"""Lets an operator stand still before or after an act of a rotation, while another goes on."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from engine.assembled import GivenAim, World
from keyturn.domain.payload import SecretValue
from keyturn.rotators.interface import Credential, Order, Rotator, Session, Target, Traits

T = TypeVar("T")


class Gate:
    """A place that is passed only when it is opened: `before.set 1` is the first `set`."""

    def __init__(self, place: str) -> None:
        self.reached, self.opened = asyncio.Event(), asyncio.Event()
        self._place = place
        self._passed: Counter[str] = Counter()

    async def around(self, act: str, do: Callable[[], Awaitable[T]]) -> T:
        self._passed[act] += 1
        name = f"{act} {self._passed[act]}"
        await self._pass(f"before.{name}")
        result = await do()
        await self._pass(f"after.{name}")
        return result

    async def _pass(self, name: str) -> None:
        if name == self._place:
            self.reached.set()
            await self.opened.wait()


class GatedAim(GivenAim):
    """Aims through a gate."""

    def __init__(self, world: World, gate: Gate) -> None:
        super().__init__(world)
        self._gate = gate

    def wrapped(self, rotator: Rotator) -> Rotator:
        return GatedRotator(rotator, self._gate)


class GatedRotator:
    def __init__(self, rotator: Rotator, gate: Gate) -> None:
        self._rotator, self._gate = rotator, gate

    def check(self, parameters: Mapping[str, Any]) -> None:
        self._rotator.check(parameters)

    def traits(self, parameters: Mapping[str, Any]) -> Traits:
        return self._rotator.traits(parameters)

    @asynccontextmanager
    async def session(self, target: Target, order: Order) -> AsyncIterator[Session]:
        entering = self._rotator.session(target, order)
        session = await self._gate.around("lock", entering.__aenter__)
        try:
            yield GatedSession(session, self._gate)
        finally:
            await entering.__aexit__(None, None, None)


class GatedSession:
    def __init__(self, session: Session, gate: Gate) -> None:
        self._session, self._gate = session, gate

    async def accepts(self, credential: Credential) -> bool:
        return await self._gate.around("accepts", lambda: self._session.accepts(credential))

    async def set(self, pending: Credential) -> None:
        await self._gate.around("set", lambda: self._session.set(pending))

    async def retire(self, old: Credential, kept: Sequence[Credential]) -> None:
        await self._session.retire(old, kept)

    async def holds_lock(self) -> bool:
        return await self._gate.around("holdsLock", self._session.holds_lock)

    async def issue(self, current: Credential) -> Mapping[str, SecretValue]:
        return await self._session.issue(current)


class GatedJournal:
    """A `RotationJournal` whose promotion goes through a gate."""

    def __init__(self, journal: Any, gate: Gate) -> None:
        self._journal, self._gate = journal, gate

    def __getattr__(self, name: str) -> Any:
        return getattr(self._journal, name)

    async def promote(self, *given: Any, **named: Any) -> Any:
        return await self._gate.around("promote", lambda: self._journal.promote(*given, **named))
