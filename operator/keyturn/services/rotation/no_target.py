"""The rotator of the strategy Regenerate: there is no target system to be changed."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from keyturn.domain.errors import InvalidParameterError
from keyturn.domain.payload import SecretValue
from keyturn.domain.rotation import Strategy
from keyturn.rotators.interface import Credential, Order, Target, Traits

NOWHERE = Target({})


class NoTarget:
    """A `Rotator` and its session in one: every credential is accepted, and nothing is done."""

    def check(self, parameters: Mapping[str, Any]) -> None:
        if parameters:
            raise InvalidParameterError("without a target there are no parameters")

    def traits(self, parameters: Mapping[str, Any]) -> Traits:
        return Traits(
            strategies=frozenset({Strategy.REGENERATE}),
            values={},
            required=frozenset(),
            rotated=frozenset(),
            has_lock=False,
        )

    @asynccontextmanager
    async def session(self, target: Target, order: Order) -> AsyncIterator["NoTarget"]:
        yield self

    async def accepts(self, credential: Credential) -> bool:
        return True

    async def set(self, pending: Credential) -> None:
        """Nothing is to be set."""

    async def retire(self, old: Credential, kept: Sequence[Credential]) -> None:
        """Nothing is to be retired."""

    async def holds_lock(self) -> bool:
        return True

    async def issue(self, current: Credential) -> Mapping[str, SecretValue]:
        return {}
