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

    `is_awaited` tells that somebody waits for its end.
    """

    name: SecretName
    target: str
    at_most: int
    perform: Callable[[], Awaitable[None]]
    is_awaited: bool = False


class RotationPool:
    """Holds each secret at most once; a target that is slow or full does not hold up the others.

    Targets take turns, and the secrets of one target come in the order in which they were put.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._waiting: dict[SecretName, Assignment] = {}
        self._queues: dict[str, deque[SecretName]] = {}
        self._at_work: dict[SecretName, str] = {}
        self._busy: dict[str, int] = {}
        self._changed = asyncio.Event()
        self.most = 0
        """The most rotations that were at work at once."""

    def __len__(self) -> int:
        return len(self._waiting) + len(self._at_work)

    def is_at_work(self, name: SecretName) -> bool:
        return name in self._at_work

    def put(self, assignment: Assignment) -> bool:
        """Let it be done when its turn comes; one of the same secret that waits is replaced.

        Returns False, and does nothing, where the secret is at work or somebody awaits its turn:
        what is to be done after that is only known at its end.
        """
        name = assignment.name
        waiting = self._waiting.get(name)
        if name in self._at_work or (waiting is not None and waiting.is_awaited):
            return False
        if waiting is None or waiting.target != assignment.target:
            self._leave_queue(name)
            self._queues.setdefault(assignment.target, deque()).append(name)
        self._waiting[name] = assignment
        self._changed.set()
        return True

    def drop(self, name: SecretName) -> None:
        """Forget what waits for a secret, unless somebody awaits it."""
        waiting = self._waiting.get(name)
        if waiting is not None and not waiting.is_awaited:
            self._leave_queue(name)
            del self._waiting[name]

    async def run(self) -> None:
        """Work until cancelled; what is cut off is taken up from the journal at the next start."""
        async with asyncio.TaskGroup() as group:
            while True:
                self._changed.clear()
                while (assignment := self._next()) is not None:
                    self._begin(assignment)
                    group.create_task(self._do(assignment), name=f"rotate {assignment.name}")
                await self._changed.wait()

    def _begin(self, assignment: Assignment) -> None:
        target = assignment.target
        self._at_work[assignment.name] = target
        self._busy[target] = self._busy.get(target, 0) + 1
        if len(self._at_work) > self.most:
            self.most = len(self._at_work)
            logger.info("%d rotations at work at once, of %d", self.most, self._limit)

    def _next(self) -> Assignment | None:
        if len(self._at_work) >= self._limit:
            return None
        for target, queue in self._queues.items():
            if self._busy.get(target, 0) < self._waiting[queue[0]].at_most:
                assignment = self._waiting.pop(queue.popleft())
                # To the end, behind the other targets.
                del self._queues[target]
                if queue:
                    self._queues[target] = queue
                return assignment
        return None

    def _leave_queue(self, name: SecretName) -> None:
        waiting = self._waiting.get(name)
        if waiting is None:
            return
        queue = self._queues[waiting.target]
        queue.remove(name)
        if not queue:
            del self._queues[waiting.target]

    async def _do(self, assignment: Assignment) -> None:
        try:
            await assignment.perform()
        except Exception as error:  # noqa: BLE001 - one rotation must not end the others
            logger.critical("rotating %s failed unexpectedly: %s", assignment.name, describe(error))
        finally:
            target = self._at_work.pop(assignment.name)
            self._busy[target] -= 1
            if not self._busy[target]:
                del self._busy[target]
            self._changed.set()
