"""What a store promises of whom the secrets rotate: a user is rotated by one of them."""

from dataclasses import replace

import pytest

from keyturn.domain.errors import TargetOwnedByOtherError
from keyturn.domain.rotation import RotationState, Step
from keyturn.domain.secret import Secret
from keyturn.store.interface import SecretStore
from keyturn.store.journal import Beginning
from keyturn.testing.store_identity import Opener
from keyturn.testing.store_rotation_samples import OneSecret, a_beginning, told
from keyturn.testing.store_rotations import everything
from keyturn.testing.store_samples import LATER, NOW, a_secret


def by(who: str, secret: Secret) -> Beginning:
    """Begin a rotation of a user; all that tells of the user and the rotator is made of `who`."""
    beginning = a_beginning(secret, identity=who, base=who)
    return replace(beginning, rotator=f"of {who}", base_user=f"user {who}")


def state_of(who: str, *, left_behind: int | None = None) -> RotationState:
    """Describe the state after a rotation that `by` began."""
    return RotationState(
        LATER, base=who, rotator=f"of {who}", base_user=f"user {who}", left_behind=left_behind
    )


async def ended(store: SecretStore, epoch: int, beginning: Beginning) -> Secret:
    """Begin a rotation, and go through to its end."""
    await store.rotations.begin(epoch, beginning)
    secret = await store.rotations.promote(epoch, beginning.rotation.id)
    await store.rotations.finish(epoch, beginning.rotation.id, None, told())
    return secret


async def dropped(store: SecretStore, epoch: int, beginning: Beginning) -> Secret:
    """Begin a rotation, and end it without its version."""
    await store.rotations.begin(epoch, beginning)
    return await store.rotations.drop(epoch, beginning.rotation.id, told())


class RotatedUserPromises(OneSecret):
    """Whom a secret rotates, and that nobody else does."""

    async def test_a_user_is_rotated_by_one_secret(
        self, store: SecretStore, epoch: int, secret: Secret
    ) -> None:
        other = await a_secret(store, "other")
        await store.rotations.begin(epoch, a_beginning(secret, identity="who", channels=()))
        before = await everything(store, other)

        with pytest.raises(TargetOwnedByOtherError):
            await store.rotations.begin(epoch, a_beginning(other, identity="who"))
        assert await everything(store, other) == before
        await store.rotations.begin(epoch, a_beginning(other, identity="somebody else"))

    async def test_a_secret_that_rotates_another_user_frees_the_one_before(
        self, store: SecretStore, epoch: int, secret: Secret
    ) -> None:
        other = await a_secret(store, "other")
        for identity in ("who", "who", "somebody else"):
            beginning = a_beginning(secret, identity=identity)
            secret = await store.rotations.begin(epoch, beginning)
            await store.rotations.drop(epoch, beginning.rotation.id, told())

        await store.rotations.begin(epoch, a_beginning(other, identity="who"))

    async def test_a_deleted_secret_holds_no_user_and_may_find_it_taken(
        self, store: SecretStore, epoch: int, secret: Secret
    ) -> None:
        other, beginning = await a_secret(store, "other"), a_beginning(secret, identity="who")
        await store.rotations.begin(epoch, beginning)
        await store.rotations.drop(epoch, beginning.rotation.id, told())
        await store.mark_deleted(secret.id, resource_uid=secret.resource_uid, now=NOW)

        await store.rotations.begin(epoch, a_beginning(other, identity="who"))

        restored = await store.restore(secret.id)
        with pytest.raises(TargetOwnedByOtherError):
            await store.rotations.begin(epoch, a_beginning(restored, identity="who"))

    async def test_nor_does_a_rotation_go_on_that_was_open_meanwhile(
        self, store: SecretStore, epoch: int, secret: Secret
    ) -> None:
        first = a_beginning(secret, identity="who", base="who")
        second = a_beginning(await a_secret(store, "other"), identity="who", base="who")
        await store.rotations.begin(epoch, first)
        await store.mark_deleted(secret.id, resource_uid=secret.resource_uid, now=NOW)
        await store.rotations.begin(epoch, second)
        await store.restore(secret.id)

        with pytest.raises(TargetOwnedByOtherError):
            await store.rotations.record(epoch, first.rotation.id, Step.SET_PENDING)
        await store.rotations.record(epoch, second.rotation.id, Step.SET_PENDING)

    async def test_nor_does_a_secret_hold_the_user_that_another_took_meanwhile(
        self, store: SecretStore, epoch: int, secret: Secret
    ) -> None:
        other = await a_secret(store, "other")
        secret = await ended(store, epoch, by("who", secret))
        await store.rotations.hold_user(epoch, secret.id)
        await store.mark_deleted(secret.id, resource_uid=secret.resource_uid, now=NOW)
        other = await ended(store, epoch, by("who", other))
        await store.restore(secret.id)

        with pytest.raises(TargetOwnedByOtherError):
            await store.rotations.hold_user(epoch, secret.id)

        await store.rotations.hold_user(epoch, other.id)
        await store.mark_deleted(other.id, resource_uid=other.resource_uid, now=NOW)
        await store.rotations.hold_user(epoch, secret.id)

    async def test_a_dropped_rotation_says_nothing_of_whom_the_secret_rotates(
        self, store: SecretStore, epoch: int, secret: Secret, reopen: Opener
    ) -> None:
        other = await a_secret(store, "other")
        secret = await ended(store, epoch, by("who", secret))
        secret = await dropped(store, epoch, by("another", secret))

        store = await reopen()
        assert (await store.rotations.journal(secret.id)).state == state_of("who")
        await dropped(store, epoch, by("another", other))
        with pytest.raises(TargetOwnedByOtherError):
            await store.rotations.begin(epoch, by("who", await store.get(other.id)))

    async def test_nor_does_it_take_away_what_was_left_behind(
        self, store: SecretStore, epoch: int, secret: Secret
    ) -> None:
        secret = await ended(store, epoch, by("who", secret))
        secret = await ended(store, epoch, by("another", secret))
        await dropped(store, epoch, by("another", secret))

        state = (await store.rotations.journal(secret.id)).state
        assert state == state_of("another", left_behind=2)

    async def test_a_dropped_first_rotation_leaves_the_user_to_others(
        self, store: SecretStore, epoch: int, secret: Secret
    ) -> None:
        await dropped(store, epoch, by("who", secret))

        assert (await store.rotations.journal(secret.id)).state == RotationState(LATER)
        await store.rotations.begin(epoch, by("who", await a_secret(store, "other")))

    async def test_a_user_that_another_secret_took_meanwhile_is_not_taken_back(
        self, store: SecretStore, epoch: int, secret: Secret
    ) -> None:
        secret = await ended(store, epoch, by("who", secret))
        wrong = by("another", secret)
        await store.rotations.begin(epoch, wrong)
        other = await ended(store, epoch, by("who", await a_secret(store, "other")))

        await store.rotations.drop(epoch, wrong.rotation.id, told())

        state = (await store.rotations.journal(secret.id)).state
        assert state == state_of("another", left_behind=2)
        await store.rotations.begin(epoch, by("who", other))
