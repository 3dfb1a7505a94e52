"""What every rotator has to keep, as a suite that its tests inherit, against a real target.

::

    class TestMine(RotatorContract):
        @pytest.fixture
        def rotator(self) -> Rotator: ...

        @pytest.fixture
        def target(self, server) -> Target: ...

        @pytest.fixture
        def unreachable(self) -> Target: ...

        @pytest.fixture
        def site(self, server) -> Site: ...
"""

from dataclasses import replace
from typing import Protocol
from uuid import UUID, uuid4

import pytest

from keyturn.domain.errors import (
    InvalidParameterError,
    TargetLockedError,
    TargetUnavailableError,
)
from keyturn.domain.payload import SecretValue
from keyturn.domain.rotation import Strategy
from keyturn.rotators.interface import Credential, Order, Rotator, Target

SECRET = UUID("6f1e6b0a-5a63-4a9b-8a43-2f1b8f2b6c11")


class Site(Protocol):
    """What the tests of a rotator know to do in its target without it."""

    async def born(self, strategy: Strategy) -> Credential:
        """Make a new user in the target by its own means; return its credential, version 1."""

    def renewed(self, credential: Credential, version: int) -> Credential:
        """Make another secret for the same user; the target does not know of it."""

    def base_username(self, credential: Credential) -> str:
        """Name the user of a credential; empty where there are no user names."""


def order_of(
    strategy: Strategy,
    base_username: str,
    pending: Credential | None,
    current: Credential | None = None,
    previous: Credential | None = None,
) -> Order:
    """Make the order of a rotation."""
    return Order(SECRET, uuid4(), strategy, base_username, pending, current, previous)


def alternate(credential: Credential, base: str, suffix: str) -> Credential:
    """Give a credential to the other one of two alternating users, as the engine does."""
    is_base = bytes(credential.values["username"].reveal()).decode() == base
    username = SecretValue((base + suffix if is_base else base).encode())
    return replace(credential, values={**credential.values, "username": username})


class RotatorContract:
    """The promises of `Rotator`, for each strategy that it has."""

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
    def site(self) -> Site:
        raise NotImplementedError("give what the tests know to do in the target")

    @pytest.fixture(params=[Strategy.SINGLE_USER, Strategy.ALTERNATING_USERS])
    def strategy(
        self, request: pytest.FixtureRequest, rotator: Rotator, target: Target
    ) -> Strategy:
        wanted: Strategy = request.param
        has = rotator.traits(target.parameters).strategies
        # One that does not have it is asked for what it has, so that no test is left out.
        return wanted if wanted in has else next(iter(has))

    async def begun(
        self, rotator: Rotator, target: Target, site: Site, strategy: Strategy
    ) -> Order:
        """Make a user, and the order of the first rotation after its first version."""
        current = await site.born(strategy)
        base = site.base_username(current)
        pending = site.renewed(current, 2)
        if strategy is Strategy.ALTERNATING_USERS:
            pending = alternate(pending, base, rotator.traits(target.parameters).clone_suffix)
        return order_of(strategy, base, pending, current)

    def test_its_traits_fit_together(self, rotator: Rotator, target: Target) -> None:
        traits = rotator.traits(target.parameters)

        assert traits.strategies
        assert traits.required <= traits.values.keys()
        assert traits.rotated <= traits.values.keys()
        assert Strategy.REGENERATE not in traits.strategies

    def test_it_takes_its_parameters_and_refuses_others(
        self, rotator: Rotator, target: Target
    ) -> None:
        rotator.check(target.parameters)

        with pytest.raises(InvalidParameterError) as refused:
            rotator.check({**target.parameters, "unheardOf": "x"})
        assert "unheardOf" in refused.value.message

    async def test_a_set_credential_is_accepted_and_another_is_not(
        self, rotator: Rotator, target: Target, site: Site, strategy: Strategy
    ) -> None:
        order = await self.begun(rotator, target, site, strategy)
        assert order.pending is not None
        assert order.current is not None

        async with rotator.session(target, order) as session:
            assert await session.accepts(order.current)
            assert not await session.accepts(order.pending)
            await session.set(order.pending)
            assert await session.accepts(order.pending)
            assert not await session.accepts(site.renewed(order.pending, 9))
            assert await session.holds_lock()

    async def test_setting_again_changes_nothing(
        self, rotator: Rotator, target: Target, site: Site, strategy: Strategy
    ) -> None:
        order = await self.begun(rotator, target, site, strategy)
        assert order.pending is not None

        for _ in range(3):
            async with rotator.session(target, order) as session:
                await session.set(order.pending)
                assert await session.accepts(order.pending)

    async def test_the_current_credential_stays_where_two_can_stand(
        self, rotator: Rotator, target: Target, site: Site, strategy: Strategy
    ) -> None:
        order = await self.begun(rotator, target, site, strategy)
        assert order.pending is not None
        assert order.current is not None
        stays = strategy is Strategy.ALTERNATING_USERS or rotator.traits(target.parameters).coexists

        async with rotator.session(target, order) as session:
            await session.set(order.pending)
            assert await session.accepts(order.current) == stays

    async def test_a_retired_credential_is_refused_and_the_kept_one_is_not(
        self, rotator: Rotator, target: Target, site: Site, strategy: Strategy
    ) -> None:
        order = await self.begun(rotator, target, site, strategy)
        assert order.pending is not None
        assert order.current is not None
        async with rotator.session(target, order) as session:
            await session.set(order.pending)

        after = order_of(strategy, order.base_username, None, order.pending, order.current)
        for _ in range(2):
            async with rotator.session(target, after) as session:
                await session.retire(order.current, [order.pending])
                assert not await session.accepts(order.current)
                assert await session.accepts(order.pending)

    async def test_what_was_retired_can_be_set_again(
        self, rotator: Rotator, target: Target, site: Site, strategy: Strategy
    ) -> None:
        order = await self.begun(rotator, target, site, strategy)
        assert order.pending is not None
        assert order.current is not None
        async with rotator.session(target, order) as session:
            await session.set(order.pending)
            await session.retire(order.current, [order.pending])

        renewed = replace(order.current, version=3)
        back = order_of(strategy, order.base_username, renewed, order.pending, order.current)
        async with rotator.session(target, back) as session:
            await session.set(renewed)
            assert await session.accepts(renewed)

    async def test_many_turns_end_where_the_last_one_says(
        self, rotator: Rotator, target: Target, site: Site, strategy: Strategy
    ) -> None:
        order = await self.begun(rotator, target, site, strategy)
        suffix = rotator.traits(target.parameters).clone_suffix
        for version in range(3, 6):
            pending, current = order.pending, order.current
            assert pending is not None
            async with rotator.session(target, order) as session:
                await session.set(pending)
                assert await session.accepts(pending)
            following = site.renewed(pending, version)
            if strategy is Strategy.ALTERNATING_USERS:
                following = alternate(following, order.base_username, suffix)
            order = order_of(strategy, order.base_username, following, pending, current)

    async def test_a_target_that_does_not_answer_is_unavailable(
        self,
        rotator: Rotator,
        target: Target,
        unreachable: Target,
        site: Site,
        strategy: Strategy,
    ) -> None:
        order = await self.begun(rotator, target, site, strategy)
        assert order.current is not None

        with pytest.raises(TargetUnavailableError):
            async with rotator.session(unreachable, order) as session:
                await session.accepts(order.current)

    async def test_a_second_session_waits_for_the_lock(
        self, rotator: Rotator, target: Target, site: Site, strategy: Strategy
    ) -> None:
        order = await self.begun(rotator, target, site, strategy)
        has_lock = rotator.traits(target.parameters).has_lock
        hasty = replace(target, timeout=1.0)

        async with rotator.session(target, order):
            if has_lock:
                with pytest.raises(TargetLockedError):
                    await rotator.session(hasty, order).__aenter__()
            else:
                async with rotator.session(hasty, order) as second:
                    assert await second.holds_lock()
        async with rotator.session(hasty, order) as free:
            assert await free.holds_lock()
