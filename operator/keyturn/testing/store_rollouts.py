"""What a store promises of the restarts of consumers, and of what follows from one that failed."""

from dataclasses import replace
from datetime import timedelta

import pytest

from keyturn.domain.consumers import WorkloadRef
from keyturn.domain.errors import LeadershipLostError, SecretNotFoundError
from keyturn.domain.rollout import Rollout, Verdict
from keyturn.domain.rotation import Cause, Frozen, Rotation
from keyturn.domain.rotation_event import Channel, EventKind
from keyturn.domain.secret import Secret
from keyturn.store.interface import SecretStore
from keyturn.testing.store_identity import Opener
from keyturn.testing.store_rotation_samples import (
    BOTH,
    OneSecret,
    a_beginning,
    a_rotation,
    rotated,
    told,
)
from keyturn.testing.store_samples import LATER, NOW, a_secret

WEB, DB = WorkloadRef("Deployment", "web"), WorkloadRef("StatefulSet", "db")
ROLLOUTS = (
    Rollout(WEB, 2, was_healthy=True, restarted_at=NOW, template="digest", got_well=True),
    Rollout(DB, 2, was_healthy=False),
)
FAILED = Frozen(2, "Deployment/web")


async def ended(
    store: SecretStore, epoch: int, secret: Secret, cause: Cause, *, frozen: Frozen | None = None
) -> Rotation:
    """Go through a rotation that began for a cause."""
    rotation = replace(a_rotation(await store.get(secret.id)), cause=cause)
    beginning = replace(a_beginning(secret, rotation), frozen=frozen)
    await store.rotations.begin(epoch, beginning)
    await store.rotations.promote(epoch, rotation.id)
    return await store.rotations.finish(epoch, rotation.id, None, told())


class RolloutPromises(OneSecret):
    """What is remembered of restarts, and that a failed one stops what begins by itself."""

    # Rollouts

    async def test_the_rollouts_are_remembered_by_workload(
        self, store: SecretStore, epoch: int, secret: Secret, reopen: Opener
    ) -> None:
        assert list(await store.rotations.rollouts(secret.id)) == []
        await store.rotations.note_rollouts(epoch, secret.id, ROLLOUTS[::-1])

        assert tuple(await (await reopen()).rotations.rollouts(secret.id)) == ROLLOUTS

    async def test_those_that_are_noted_replace_all_before(
        self, store: SecretStore, epoch: int, secret: Secret
    ) -> None:
        other = await a_secret(store, "other", versions=1)
        await store.rotations.note_rollouts(epoch, other.id, ROLLOUTS)
        await store.rotations.note_rollouts(epoch, secret.id, ROLLOUTS)
        judged = replace(ROLLOUTS[0], verdict=Verdict.FAILED, restarted_at=NOW + timedelta(hours=1))

        await store.rotations.note_rollouts(epoch, secret.id, [judged])

        assert list(await store.rotations.rollouts(secret.id)) == [judged]
        assert tuple(await store.rotations.rollouts(other.id)) == ROLLOUTS

    async def test_an_older_epoch_notes_no_rollouts(
        self, store: SecretStore, epoch: int, secret: Secret
    ) -> None:
        await store.rotations.note_rollouts(epoch, secret.id, ROLLOUTS)
        await store.rotations.take_epoch()

        with pytest.raises(LeadershipLostError):
            await store.rotations.note_rollouts(epoch, secret.id, [])
        assert tuple(await store.rotations.rollouts(secret.id)) == ROLLOUTS

    async def test_rollouts_go_with_their_secret(
        self, store: SecretStore, epoch: int, secret: Secret
    ) -> None:
        await store.rotations.note_rollouts(epoch, secret.id, ROLLOUTS)
        await store.mark_deleted(secret.id, resource_uid=secret.resource_uid, now=NOW)

        await store.purge(secret.id, now=LATER)

        assert list(await store.rotations.rollouts(secret.id)) == []
        with pytest.raises(SecretNotFoundError):
            await store.rotations.note_rollouts(epoch, secret.id, ROLLOUTS)

    # Standing still

    async def test_what_a_failed_rollout_began_stands_still_until_a_request(
        self, store: SecretStore, epoch: int, secret: Secret, reopen: Opener
    ) -> None:
        await rotated(store, epoch, secret)
        await ended(store, epoch, secret, Cause.HEALTH, frozen=FAILED)
        assert (await store.rotations.journal(secret.id)).frozen == FAILED
        for cause in (Cause.CHANGE, Cause.ROLLBACK):
            await ended(store, epoch, secret, cause)
        store = await reopen()
        assert (await store.rotations.journal(secret.id)).frozen == FAILED

        await ended(store, epoch, secret, Cause.REQUEST)

        assert (await store.rotations.journal(secret.id)).frozen is None

    async def test_it_stands_still_as_soon_as_it_begins(
        self, store: SecretStore, epoch: int, secret: Secret
    ) -> None:
        rotation = replace(a_rotation(secret), cause=Cause.HEALTH)
        await store.rotations.begin(
            epoch, replace(a_beginning(secret, rotation, channels=BOTH), frozen=FAILED)
        )
        await store.rotations.give_up(epoch, rotation.id, "refused")
        await store.rotations.drop(epoch, rotation.id, told())

        assert (await store.rotations.journal(secret.id)).frozen == FAILED

    async def test_that_it_went_back_is_told_when_it_is_done(
        self, store: SecretStore, epoch: int, secret: Secret
    ) -> None:
        await ended(store, epoch, secret, Cause.HEALTH, frozen=FAILED)

        for channel in Channel:
            waiting = await store.rotations.waiting(channel, 100)
            assert [event.kind for event in waiting] == [
                EventKind.STARTED,
                EventKind.SUCCEEDED,
                EventKind.ROLLED_BACK,
            ]
            assert len({event.id for event in waiting}) == len(waiting)
