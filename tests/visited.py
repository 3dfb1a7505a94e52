"""The states that a model was in, without those that show nothing new.

How much may still go wrong is counted down in a state. Of two states that differ in these counts
alone, the one with no count higher is covered by the other: whatever can follow on it can follow
on the other as well, and so can what breaks a promise. It need not be visited.
"""

from collections import deque
from collections.abc import Iterator
from operator import ge
from typing import Any, Generic, TypeVar

State = TypeVar("State", bound=tuple[Any, ...])


class Visited(Generic[State]):
    """The states that were visited, the first one of all to begin with, and those that wait.

    The last `counts` fields of a state are the counts.
    """

    def __init__(self, start: State, *, counts: int, limit: int) -> None:
        self._counts, self._limit = counts, limit
        self._known: dict[tuple[Any, ...], list[tuple[Any, ...]]] = {}
        self._waiting: deque[State] = deque()
        self._number = 0
        self.add(start)

    def __len__(self) -> int:
        return self._number

    def add(self, state: State) -> None:
        """Let a state be visited, unless one that was or will be covers it."""
        left = state[-self._counts :]
        known = self._known.setdefault(state[: -self._counts], [])
        if any(all(map(ge, more, left)) for more in known):
            return
        known.append(left)
        self._waiting.append(state)
        self._number += 1
        assert self._number < self._limit, "the model is larger than it may be"

    def __iter__(self) -> Iterator[State]:
        """Give each state once, also those that are added meanwhile."""
        while self._waiting:
            yield self._waiting.popleft()
