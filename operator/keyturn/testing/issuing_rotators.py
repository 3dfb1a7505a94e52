"""What a rotator has to keep whose target issues the new values, as a suite for its tests.

::

    class TestMine(IssuingRotatorContract):
        @pytest.fixture
        def rotator(self) -> Rotator: ...

        @pytest.fixture
        def target(self, server) -> Target: ...

        @pytest.fixture
        def unreachable(self) -> Target: ...

        @pytest.fixture
        def site(self, server) -> IssuingSite: ...
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol
from uuid import uuid4

import pytest

from keyturn.domain.errors import (
    InvalidParameterError,
    TargetRefusedError,
    TargetUnavailableError,
)
from keyturn.domain.payload import SecretValue
from keyturn.domain.rotation import Strategy
from keyturn.rotators.interface import Credential, Order, Rotator, Target
from keyturn.testing.rotators import SECRET


class IssuingSite(Protocol):
    """What the tests of an issuing rotator know to do in its target without it."""

    async def born(self) -> Credential:
        """Make a credential in the target by its own means, version 1."""

    async def ended(self, credential: Credential) -> None:
        """Let the target no longer accept a credential, nor issue anything for it."""


def order_of(pending: Credential | None, current: Credential | None) -> Order:
    """Make the order of a rotation."""
    return Order(SECRET, uuid4(), Strategy.SINGLE_USER, "", pending, current)


def renewed(current: Credential, issued: Mapping[str, SecretValue]) -> Credential:
    """Make the next version of what was issued, as the engine does."""
    values = {**current.values, **issued}
    return replace(current, version=current.version + 1, values=values)


class IssuingRotatorContract:
    """The promises of `Rotator` where `Traits.issues` is true."""

    @pytest.fixture
    def rotator(self) -> Rotator:
        raise NotImplementedError("give the rotator that is tested")

    @pytest.fixture
    def target(self) -> Target:
        raise NotImplementedError("give a target that the server of the tests answers")

    @pytest.fixture
    def unreachable(self) -> Target:
        raise NotImplementedError("give a target that nothing answers")

    @pytest.fixture
    def site(self) -> IssuingSite:
        raise NotImplementedError("give what the tests know to do in the target")

    async def issued(self, rotator: Rotator, target: Target, current: Credential) -> Credential:
        async with rotator.session(target, order_of(None, current)) as session:
            return renewed(current, await session.issue(current))

    def test_its_traits_fit_together(self, rotator: Rotator, target: Target) -> None:
        traits = rotator.traits(target.parameters)

        assert traits.issues
        assert traits.strategies == {Strategy.SINGLE_USER}
        assert traits.required <= traits.values.keys()
        assert traits.rotated <= traits.values.keys()

    def test_it_takes_its_parameters_and_refuses_others(
        self, rotator: Rotator, target: Target
    ) -> None:
        rotator.check(target.parameters)

        with pytest.raises(InvalidParameterError) as refused:
            rotator.check({**target.parameters, "unheardOf": "x"})
        assert "unheardOf" in refused.value.message

    async def test_what_is_issued_are_the_values_that_it_says_it_rotates(
        self, rotator: Rotator, target: Target, site: IssuingSite
    ) -> None:
        current = await site.born()
        async with rotator.session(target, order_of(None, current)) as session:
            issued = await session.issue(current)

        assert issued.keys() == rotator.traits(target.parameters).rotated

    async def test_what_was_issued_is_accepted_and_setting_it_changes_nothing(
        self, rotator: Rotator, target: Target, site: IssuingSite
    ) -> None:
        current = await site.born()
        pending = await self.issued(rotator, target, current)

        for _ in range(2):
            async with rotator.session(target, order_of(pending, current)) as session:
                assert await session.accepts(pending)
                await session.set(pending)
                assert await session.accepts(pending)
                assert await session.holds_lock()

    async def test_many_turns_end_where_the_last_one_says(
        self, rotator: Rotator, target: Target, site: IssuingSite
    ) -> None:
        current = await site.born()
        for _ in range(4):
            pending = await self.issued(rotator, target, current)
            async with rotator.session(target, order_of(pending, current)) as session:
                assert await session.accepts(pending)
            async with rotator.session(target, order_of(None, pending)) as session:
                await session.retire(current, [pending])
                await session.retire(current, [pending])
                assert await session.accepts(pending)
            current = pending

    async def test_giving_up_leaves_one_that_is_accepted(
        self, rotator: Rotator, target: Target, site: IssuingSite
    ) -> None:
        """The way back, as the engine goes it: current, or else forward after all."""
        current = await site.born()
        pending = await self.issued(rotator, target, current)

        async with rotator.session(target, order_of(pending, current)) as session:
            if await session.accepts(current):
                if await session.accepts(pending):
                    await session.retire(pending, [current])
                kept = current
            else:
                with pytest.raises(TargetRefusedError):
                    await session.set(current)
                assert await session.accepts(pending)
                kept = pending
        following = await self.issued(rotator, target, kept)
        async with rotator.session(target, order_of(following, kept)) as session:
            assert await session.accepts(following)

    async def test_nothing_is_issued_for_what_was_ended(
        self, rotator: Rotator, target: Target, site: IssuingSite
    ) -> None:
        current = await site.born()
        await site.ended(current)

        with pytest.raises(TargetRefusedError):
            await self.issued(rotator, target, current)

    async def test_a_target_that_does_not_answer_is_unavailable(
        self, rotator: Rotator, unreachable: Target, site: IssuingSite
    ) -> None:
        current = await site.born()

        with pytest.raises(TargetUnavailableError):
            await self.issued(rotator, unreachable, current)
