"""The rotations at work: so many at once, and of one target no more than it may bear."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from keyturn.domain.secret import SecretName
from keyturn.observability.failures import describe

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Assignment:
    """What waits for its turn: a secret, its target, and how many of that may be at work.

    `replaced` is called when another one of the same secret takes its place.
    """

    name: SecretName
    target: str
    at_most: int
    perform: Callable[[], Awaitable[None]]
    replaced: Callable[[], None] = lambda: None


class RotationPool:
    """Holds each secret at most once; a target that is slow or full does not hold up the others."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._waiting: dict[SecretName, Assignment] = {}
        self._order: deque[SecretName] = deque()
        self._at_work: dict[SecretName, str] = {}
        self._again: dict[SecretName, Assignment] = {}
        self._changed = asyncio.Event()
        self.most = 0
        """The most rotations that were at work at once."""

    def __len__(self) -> int:
        return len(self._waiting) + len(self._at_work) + len(self._again)

    def is_at_work(self, name: SecretName) -> bool:
        return name in self._at_work

    def put(self, assignment: Assignment) -> None:
        """Let it be done when its turn comes; one of the same secret that waits is replaced."""
        name = assignment.name
        place = self._again if name in self._at_work else self._waiting
        if name in place:
            place[name].replaced()
        elif place is self._waiting:
            self._order.append(name)
        place[name] = assignment
        self._changed.set()

    async def run(self) -> None:
        """Work until cancelled; what is cut off is taken up from the journal at the next start."""
        async with asyncio.TaskGroup() as group:
            while True:
                self._changed.clear()
                while (assignment := self._next()) is not None:
                    self._at_work[assignment.name] = assignment.target
                    self._note_most()
                    group.create_task(self._do(assignment), name=f"rotate {assignment.name}")
                await self._changed.wait()

    def _note_most(self) -> None:
        if len(self._at_work) > self.most:
            self.most = len(self._at_work)
            logger.info("%d rotations at work at once, of %d", self.most, self._limit)

    def _next(self) -> Assignment | None:
        if len(self._at_work) >= self._limit:
            return None
        busy = list(self._at_work.values())
        for _ in range(len(self._order)):
            name = self._order.popleft()
            assignment = self._waiting[name]
            if busy.count(assignment.target) < assignment.at_most:
                del self._waiting[name]
                return assignment
            self._order.append(name)
        return None

    async def _do(self, assignment: Assignment) -> None:
        try:
            await assignment.perform()
        except Exception as error:  # noqa: BLE001 - one rotation must not end the others
            logger.critical("rotating %s failed unexpectedly: %s", assignment.name, describe(error))
        finally:
            del self._at_work[assignment.name]
            again = self._again.pop(assignment.name, None)
            if again is not None:
                self.put(again)
            self._changed.set()
