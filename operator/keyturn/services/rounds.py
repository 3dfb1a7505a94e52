"""Where no watch tells of native Secrets, each is looked at again from time to time."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from secrets import randbelow

from keyturn.domain.secret import SecretName
from keyturn.services.sightings import Place, Seen, Sightings

TICK = 1.0
"""Seconds between two looks at what is due, give or take a fifth."""

MOST = 20.0
"""So many native Secrets are looked at in a second at most, however many there are: with more than
twelve thousand a round takes longer than the ten minutes that it takes if left out."""


class Rounds(Sightings):
    """Sightings without eyes: a native Secret counts as untouched until its turn comes.

    One turn after the other, spread evenly over the interval; what is written or read meanwhile
    has not to wait for it. After a restart nothing is written either, before it is its turn.
    """

    def __init__(self, interval: float, changed: Callable[[SecretName], None]) -> None:
        super().__init__()
        self._interval = interval
        self._changed = changed
        self._round: deque[Place] = deque()
        self._known: set[Place] = set()
        self._due: set[Place] = set()
        self._credit = 0.0

    def is_present(self, place: Place) -> bool:  # noqa: ARG002 - nothing is seen
        """Tell that a native Secret may stand anywhere: whoever wants to know has to look."""
        return True

    def is_as_written(
        self,
        place: Place,
        uid: str,  # noqa: ARG002 - nothing is seen
        resource_version: str,  # noqa: ARG002
    ) -> bool:
        """Tell whether it is not yet its turn."""
        return place not in self._due

    def settle(self, place: Place, written: Seen | None) -> bool:
        """Note what our write or our look gave: its turn was taken."""
        if written is not None:
            self._due.discard(place)
        return super().settle(place, written)

    def assign(self, name: SecretName, natives: Iterable[str]) -> frozenset[Place]:
        left = super().assign(name, natives)
        for place in self._targets.get(name, ()):
            if place not in self._known:
                self._known.add(place)
                self._round.append(place)
        return left

    async def run(self) -> None:
        """Take turns until cancelled."""
        while True:
            pause = TICK * (0.8 + randbelow(400) / 1000)
            await asyncio.sleep(pause)
            self.tick(pause)

    def tick(self, seconds: float) -> None:
        """Call those whose turn has come in so many seconds."""
        self._credit += seconds * min(len(self._round) / self._interval, MOST)
        while self._credit >= 1 and self._round:
            self._credit -= 1
            self._next()

    def _next(self) -> None:
        place = self._round.popleft()
        projectors = self.projectors(place)
        if not projectors:
            self._known.discard(place)
            self._due.discard(place)
            return
        self._round.append(place)
        self._due.add(place)
        for name in projectors:
            self._changed(name)
