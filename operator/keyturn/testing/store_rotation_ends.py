"""What a store promises of how rotations end, and of what is remembered of them."""

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from keyturn.domain.errors import StageMovedError
from keyturn.domain.rotation import Cause, Outcome, RotationState
from keyturn.domain.rotation_event import Channel, EventKind
from keyturn.domain.secret import Secret
from keyturn.domain.stage import Stage, Stages
from keyturn.store.interface import SecretStore
from keyturn.store.journal import KEPT_ROTATIONS, Journal
from keyturn.testing.store_identity import Opener
from keyturn.testing.store_rotation_samples import (
    AGAIN_AT,
    BOTH,
    REFUSED,
    OneSecret,
    a_beginning,
    a_rotation,
    begun,
    promoted,
    rotated,
    told,
)
from keyturn.testing.store_rotations import EVERY_WRITE, OF_A_ROTATION, everything
from keyturn.testing.store_samples import LATER, NOW, a_secret, numbers

of_a_rotation = pytest.mark.parametrize("name", OF_A_ROTATION)


async def kinds(store: SecretStore, channel: Channel = Channel.SINK) -> list[EventKind]:
    """List what waits for a channel, the oldest first."""
    return [event.kind for event in await store.rotations.waiting(channel, 1000)]


class RotationEndPromises(OneSecret):
    """How a rotation ends, what is remembered of it, and what is told."""

    # Ends

    async def test_a_finished_rotation_is_over(
        self, store: SecretStore, epoch: int, secret: Secret, reopen: Opener
    ) -> None:
        rotation = await promoted(store, epoch, secret)
        retire_at = LATER + timedelta(hours=1)

        over = await store.rotations.finish(epoch, rotation.id, retire_at, told())

        assert (over.outcome, over.ended_at, over.retry_at) == (Outcome.SUCCEEDED, LATER, None)
        journal = await (await reopen()).rotations.journal(secret.id)
        assert journal.rotations == (over,)
        assert journal.open is None
        assert journal.state == RotationState(LATER, retire_at=retire_at)

    async def test_a_first_version_leaves_nothing_to_be_retired(
        self, store: SecretStore, epoch: int
    ) -> None:
        secret = await a_secret(store, "new")

        await rotated(store, epoch, secret, retire_at=LATER)

        assert (await store.rotations.journal(secret.id)).state == RotationState(LATER)

    async def test_a_credential_that_stays_leaves_the_previous_one_its_time(
        self, store: SecretStore, epoch: int, secret: Secret, reopen: Opener
    ) -> None:
        await rotated(store, epoch, secret, retire_at=LATER)
        for number in (3, 4):
            beginning = a_beginning(await store.get(secret.id), credential=2)
            await store.rotations.begin(epoch, beginning)

            after = await store.rotations.promote(epoch, beginning.rotation.id)
            await store.rotations.finish(epoch, beginning.rotation.id, NOW, told())

            assert after.stages == Stages({Stage.CURRENT: number, Stage.PREVIOUS: 1})
        reopened = await reopen()
        assert (await reopened.get(secret.id)).is_current_credential(2)
        assert (await reopened.rotations.journal(secret.id)).state == RotationState(
            LATER, retire_at=LATER
        )

    @pytest.mark.parametrize("way", ["a version is added", "an older one is promoted"])
    async def test_what_no_rotation_replaced_has_no_time(
        self, store: SecretStore, epoch: int, secret: Secret, way: str
    ) -> None:
        rotation = await rotated(store, epoch, secret, retire_at=LATER)

        if way == "a version is added":
            sealed = a_beginning(await store.get(secret.id)).sealed
            after = await store.add_version(secret.id, sealed, promote=True, history_limit=9)
        else:
            after = await store.promote(secret.id, 1, expected=rotation.number)

        assert after.stages.previous == rotation.number
        state = (await store.rotations.journal(secret.id)).state
        assert state == RotationState(LATER)

    async def test_another_credential_has_a_time_of_its_own(
        self, store: SecretStore, epoch: int, secret: Secret
    ) -> None:
        await rotated(store, epoch, secret, retire_at=LATER)
        await rotated(store, epoch, await store.get(secret.id), retire_at=NOW)

        state = (await store.rotations.journal(secret.id)).state
        assert state == RotationState(LATER, retire_at=NOW)

    async def test_a_rotation_that_was_not_promoted_cannot_be_finished(
        self, store: SecretStore, epoch: int, secret: Secret
    ) -> None:
        rotation = await begun(store, epoch, secret)
        before = await everything(store, secret)

        with pytest.raises(StageMovedError):
            await store.rotations.finish(epoch, rotation.id, None, told())
        assert await everything(store, secret) == before

    @pytest.mark.parametrize("end", ["finish", "drop"])
    @pytest.mark.parametrize("cause", Cause)
    async def test_the_next_due_time_is_counted_from_the_end_if_the_credential_was_to_be_new(
        self, store: SecretStore, epoch: int, secret: Secret, cause: Cause, end: str
    ) -> None:
        await store.rotations.anchor(epoch, secret.id, NOW)
        rotation = replace(a_rotation(secret), cause=cause)
        await store.rotations.begin(epoch, a_beginning(secret, rotation))
        if end == "finish":
            await store.rotations.promote(epoch, rotation.id)

        await EVERY_WRITE[end](store, epoch, secret, rotation)

        state = (await store.rotations.journal(secret.id)).state
        is_new = cause not in (Cause.CHANGE, Cause.ROLLBACK, Cause.HEALTH)
        assert state == RotationState(LATER if is_new else NOW)

    async def test_the_numbers_of_abandoned_versions_are_known(
        self, store: SecretStore, epoch: int, secret: Secret
    ) -> None:
        await rotated(store, epoch, secret)
        dropped = await begun(store, epoch, await store.get(secret.id))
        await store.rotations.drop(epoch, dropped.id, told())
        await begun(store, epoch, await store.get(secret.id))

        assert (await store.rotations.journal(secret.id)).abandoned == {dropped.number}

    async def test_a_dropped_rotation_leaves_current_and_its_number(
        self, store: SecretStore, epoch: int, secret: Secret, reopen: Opener
    ) -> None:
        rotation = await begun(store, epoch, secret)
        await store.rotations.give_up(epoch, rotation.id, "cancelled")

        after = await store.rotations.drop(epoch, rotation.id, told())

        reopened = await reopen()
        assert after == await reopened.get(secret.id)
        assert after.stages == Stages({Stage.CURRENT: 1})
        assert numbers(after) == [1, 2]
        journal = await reopened.rotations.journal(secret.id)
        (over,) = journal.rotations
        assert (over.outcome, over.ended_at) == (Outcome.ABANDONED, LATER)
        assert over.give_up == "cancelled"
        assert journal.open is None
        assert journal.state == RotationState(LATER)

    @of_a_rotation
    async def test_a_rotation_that_is_over_changes_no_more(
        self, store: SecretStore, epoch: int, secret: Secret, name: str
    ) -> None:
        over = await rotated(store, epoch, secret)
        before = await everything(store, secret)

        with pytest.raises(StageMovedError):
            await EVERY_WRITE[name](store, epoch, secret, over)
        assert await everything(store, secret) == before

    @of_a_rotation
    async def test_an_unknown_rotation_is_refused(
        self, store: SecretStore, epoch: int, secret: Secret, name: str
    ) -> None:
        unknown = replace(await begun(store, epoch, secret), id=uuid4())

        with pytest.raises(StageMovedError):
            await EVERY_WRITE[name](store, epoch, secret, unknown)

    # Retirement

    async def test_a_retired_version_is_not_previous_any_more(
        self, store: SecretStore, epoch: int, secret: Secret, reopen: Opener
    ) -> None:
        await rotated(store, epoch, secret, retire_at=LATER)

        after = await store.rotations.record_retired(epoch, secret.id, 1)
        again = await store.rotations.record_retired(epoch, secret.id, 1)

        reopened = await reopen()
        assert after == again == await reopened.get(secret.id)
        assert after.stages == Stages({Stage.CURRENT: 2})
        assert numbers(after) == [1, 2]
        assert (await reopened.rotations.journal(secret.id)).state == RotationState(LATER)

    async def test_another_previous_version_is_not_retired(
        self, store: SecretStore, epoch: int, secret: Secret
    ) -> None:
        await rotated(store, epoch, secret, retire_at=LATER)
        before = await everything(store, secret)

        with pytest.raises(StageMovedError):
            await store.rotations.record_retired(epoch, secret.id, 2)
        assert await everything(store, secret) == before

    async def test_nothing_is_retired_while_a_rotation_is_open(
        self, store: SecretStore, epoch: int, secret: Secret
    ) -> None:
        await rotated(store, epoch, secret, retire_at=LATER)
        await begun(store, epoch, await store.get(secret.id))
        before = await everything(store, secret)

        with pytest.raises(StageMovedError):
            await store.rotations.record_retired(epoch, secret.id, 1)
        assert await everything(store, secret) == before

    # What is remembered

    async def test_the_newest_rotations_are_remembered(
        self, store: SecretStore, epoch: int, secret: Secret, reopen: Opener
    ) -> None:
        made = [
            await rotated(store, epoch, await store.get(secret.id))
            for _ in range(KEPT_ROTATIONS + 2)
        ]
        made.append(await begun(store, epoch, await store.get(secret.id)))

        kept = (await (await reopen()).rotations.journal(secret.id)).rotations
        assert list(kept) == made[: -KEPT_ROTATIONS - 1 : -1]

    async def test_each_secret_has_a_journal_of_its_own(
        self, store: SecretStore, epoch: int, secret: Secret
    ) -> None:
        other = await a_secret(store, "other", versions=1)
        one, another = await begun(store, epoch, secret), await rotated(store, epoch, other)

        assert (await store.rotations.journal(secret.id)).rotations == (one,)
        assert (await store.rotations.journal(other.id)).rotations == (another,)

    async def test_lists_what_is_unfinished(
        self, store: SecretStore, epoch: int, secret: Secret, reopen: Opener
    ) -> None:
        to_retire, done, given_up = [
            await a_secret(store, name, versions=1) for name in ("to retire", "done", "given up")
        ]
        await begun(store, epoch, secret)
        await rotated(store, epoch, to_retire, retire_at=LATER)
        await rotated(store, epoch, done)
        dropped = await begun(store, epoch, given_up)
        await store.rotations.drop(epoch, dropped.id, told())

        unfinished = (await reopen()).rotations.unfinished
        assert sorted(await unfinished()) == sorted([secret.id, to_retire.id])

    async def test_what_was_retired_is_not_unfinished(
        self, store: SecretStore, epoch: int, secret: Secret
    ) -> None:
        await rotated(store, epoch, secret, retire_at=LATER)
        await store.rotations.record_retired(epoch, secret.id, 1)

        assert list(await store.rotations.unfinished()) == []

    async def test_a_purge_takes_the_journal_and_frees_the_user(
        self, store: SecretStore, epoch: int, secret: Secret
    ) -> None:
        other = await a_secret(store, "other")
        await store.rotations.begin(epoch, a_beginning(secret, identity="who"))
        await store.mark_deleted(secret.id, resource_uid=secret.resource_uid, now=NOW)

        await store.purge(secret.id, now=LATER)

        assert await store.rotations.journal(secret.id) == Journal(None)
        assert list(await store.rotations.unfinished()) == []
        await store.rotations.begin(epoch, a_beginning(other, identity="who"))
        # That it began was not told yet, and is still news.
        assert await kinds(store) == [EventKind.STARTED, EventKind.STARTED]

    # Events

    async def test_what_happens_is_told_once_to_each_channel(
        self, store: SecretStore, epoch: int, secret: Secret, reopen: Opener
    ) -> None:
        rotation = await begun(store, epoch, secret)
        for _ in range(3):
            await store.rotations.fail(epoch, rotation.id, REFUSED, AGAIN_AT, told(AGAIN_AT))
        await store.rotations.promote(epoch, rotation.id)
        await store.rotations.finish(epoch, rotation.id, None, told())

        reopened = await reopen()
        for channel in BOTH:
            events = await reopened.rotations.waiting(channel, 10)
            assert [(event.kind, event.time) for event in events] == [
                (EventKind.STARTED, NOW),
                (EventKind.FAILED, AGAIN_AT),
                (EventKind.SUCCEEDED, LATER),
            ]
            assert {event.rotation_id for event in events} == {rotation.id}
            assert len({event.id for event in events}) == len(events)
            failed = events[1]
            assert (failed.name, failed.version) == (secret.name, 2)
            assert (failed.step, failed.code) == (REFUSED.step.value, REFUSED.code)

    async def test_a_rotation_that_was_given_up_is_told(
        self, store: SecretStore, epoch: int, secret: Secret
    ) -> None:
        rotation = await begun(store, epoch, secret)
        await store.rotations.give_up(epoch, rotation.id, "cancelled")

        await store.rotations.drop(epoch, rotation.id, told())

        assert await kinds(store) == [EventKind.STARTED, EventKind.ABANDONED]

    async def test_only_the_channels_that_are_asked_for_are_told(
        self, store: SecretStore, epoch: int, secret: Secret
    ) -> None:
        rotation = await begun(store, epoch, secret, channels=[Channel.CLUSTER])
        nobody = told(channels=())
        await store.rotations.fail(epoch, rotation.id, REFUSED, AGAIN_AT, nobody)

        assert await kinds(store, Channel.CLUSTER) == [EventKind.STARTED]
        assert await kinds(store, Channel.SINK) == []

    async def test_the_oldest_events_are_listed_first_and_in_part(
        self, store: SecretStore, epoch: int
    ) -> None:
        secrets = [await a_secret(store, f"s{number}") for number in range(5)]
        for secret in reversed(secrets):
            await begun(store, epoch, secret)

        events = await store.rotations.waiting(Channel.SINK, 3)

        assert [event.name.name for event in events] == ["s4", "s3", "s2"]

    async def test_what_was_delivered_waits_for_the_other_channel_only(
        self, store: SecretStore, epoch: int, secret: Secret, reopen: Opener
    ) -> None:
        await rotated(store, epoch, secret)
        started, _ = await store.rotations.waiting(Channel.SINK, 10)

        for _ in range(2):
            await store.rotations.delivered(Channel.SINK, started.id)

        reopened = await reopen()
        assert await kinds(reopened, Channel.SINK) == [EventKind.SUCCEEDED]
        assert await kinds(reopened, Channel.CLUSTER) == [EventKind.STARTED, EventKind.SUCCEEDED]

    async def test_what_was_delivered_is_not_told_again(
        self, store: SecretStore, epoch: int, secret: Secret
    ) -> None:
        beginning = a_beginning(secret)
        for _ in range(2):
            await store.rotations.begin(epoch, beginning)
            for event in await store.rotations.waiting(Channel.SINK, 10):
                await store.rotations.delivered(Channel.SINK, event.id)
        await store.rotations.fail(epoch, beginning.rotation.id, REFUSED, AGAIN_AT, told())
        (failed,) = await store.rotations.waiting(Channel.SINK, 10)
        await store.rotations.delivered(Channel.SINK, failed.id)
        await store.rotations.fail(epoch, beginning.rotation.id, REFUSED, AGAIN_AT, told())

        assert await kinds(store) == []
