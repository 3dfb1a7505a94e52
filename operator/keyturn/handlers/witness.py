"""The witness against kopf: what was seen, and kopf did not hand over."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from keyturn.domain.secret import SecretName

PATIENCE = 20.0
"""Seconds that kopf has for handing over what our own watch saw."""

LONG = 3
"""So often in a row kopf may be found deaf before only a new process can help."""


@dataclass(frozen=True, slots=True)
class _Missing:
    resource_version: int
    since: float


class Witness:
    """Compares what our own watch saw of the ManagedSecrets with what kopf handed over.

    A single thing that is late is only put right. But when kopf handed over nothing at all for so
    long, it is deaf. The verdict needs a sign of life of our own watch: while the apiserver is
    away, both are silent, and a new process would hear no more than this one.

    Held in memory is one number for each resource.
    """

    def __init__(
        self, *, patience: float = PATIENCE, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._patience = patience
        self._clock = clock
        self._told: dict[SecretName, int] = {}
        self._missing: dict[SecretName, _Missing] = {}
        self._heard_at = clock()
        self._verdict_at = clock()
        self._verdicts = 0

    def heard(self, name: SecretName, resource_version: int, *, gone: bool = False) -> None:
        """Note what kopf handed over."""
        self._heard_at = self._clock()
        self._verdicts = 0
        if gone:
            self._told.pop(name, None)
        else:
            self._told[name] = max(resource_version, self._told.get(name, 0))
        missing = self._missing.get(name)
        if missing is not None and resource_version >= missing.resource_version:
            del self._missing[name]

    def saw(self, name: SecretName, resource_version: int) -> None:
        """Note what our own watch saw."""
        if self._told.get(name, 0) < resource_version:
            known = self._missing.get(name)
            since = known.since if known is not None else self._clock()
            self._missing[name] = _Missing(resource_version, since)

    def saw_end(self, name: SecretName, resource_version: int) -> None:
        """Note that our own watch saw a resource go; kopf, begun anew, will never tell of it."""
        self._missing.pop(name, None)
        if self._told.get(name, 0) <= resource_version:
            self._told.pop(name, None)

    def forget(self, names: Iterable[SecretName], resource_version: int) -> None:
        """Note that a list of that resource version holds none of these."""
        for name in names:
            self.saw_end(name, resource_version)

    def known(self) -> set[SecretName]:
        """Name all resources that are remembered."""
        return {*self._told, *self._missing}

    def overdue(self) -> list[SecretName]:
        """List what kopf should have handed over long ago; only from a deaf one it is due again."""
        now = self._clock()
        late = [n for n, m in self._missing.items() if now - m.since > self._patience]
        for name in late:
            missing = self._missing.pop(name)
            if now - self._heard_at > self._patience:
                self._missing[name] = _Missing(missing.resource_version, now)
        return late

    def finds_deaf(self, *, alive_at: float) -> bool:
        """Tell whether kopf has gone deaf: something is overdue, and it said nothing at all.

        `alive_at` is when our own watch last heard of the apiserver. After a verdict kopf, begun
        anew, has the same time again.
        """
        now = self._clock()
        silent_since = max(self._heard_at, self._verdict_at)
        if now - silent_since <= self._patience or alive_at <= silent_since:
            return False
        self._verdict_at = now
        self._verdicts += 1
        return True

    def finds_deaf_for_good(self) -> bool:
        """Tell whether beginning anew has not helped kopf."""
        return self._verdicts > LONG
