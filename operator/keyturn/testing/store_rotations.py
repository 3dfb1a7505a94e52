"""What a store promises of its journal: who may write, how a rotation begins and goes on."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from uuid import uuid4

import pytest

from keyturn.domain.errors import (
    LeadershipLostError,
    SecretDeletedError,
    SecretNotFoundError,
    StageMovedError,
)
from keyturn.domain.rotation import Failure, Rotation, RotationState, Step
from keyturn.domain.rotation_event import Channel
from keyturn.domain.secret import Secret
from keyturn.domain.stage import Stage, Stages
from keyturn.store.interface import SecretStore
from keyturn.store.journal import Journal
from keyturn.testing.store_identity import Opener
from keyturn.testing.store_rotation_samples import (
    AGAIN_AT,
    REFUSED,
    OneSecret,
    a_beginning,
    a_rotation,
    begun,
    promoted,
    told,
)
from keyturn.testing.store_samples import LATER, NOW, a_deleted_secret, a_secret

REQUEST = "a request of somebody"

Write = Callable[[SecretStore, int, Secret, Rotation], Awaitable[object]]

EVERY_WRITE: dict[str, Write] = {
    "settle": lambda store, epoch, secret, _: store.rotations.settle(epoch, secret.id, NOW, None),
    "begin": lambda store, epoch, secret, _: store.rotations.begin(epoch, a_beginning(secret)),
    "record": lambda store, epoch, _, rotation: store.rotations.record(
        epoch, rotation.id, Step.TEST_PENDING
    ),
    "record the same step": lambda store, epoch, _, rotation: store.rotations.record(
        epoch, rotation.id, rotation.step
    ),
    "fail": lambda store, epoch, _, rotation: store.rotations.fail(
        epoch, rotation.id, REFUSED, AGAIN_AT, told()
    ),
    "give up": lambda store, epoch, _, rotation: store.rotations.give_up(
        epoch, rotation.id, "cancelled"
    ),
    "promote": lambda store, epoch, _, rotation: store.rotations.promote(epoch, rotation.id),
    "finish": lambda store, epoch, _, rotation: store.rotations.finish(
        epoch, rotation.id, None, told()
    ),
    "drop": lambda store, epoch, _, rotation: store.rotations.drop(epoch, rotation.id, told()),
    "retired": lambda store, epoch, secret, _: store.rotations.record_retired(epoch, secret.id, 1),
    "hold": lambda store, epoch, secret, _: store.rotations.hold_user(epoch, secret.id),
    "token": lambda store, epoch, secret, _: store.rotations.note_token(epoch, secret.id, REQUEST),
}
OF_A_ROTATION = ["record", "record the same step", "fail", "give up", "promote", "finish", "drop"]
every_write = pytest.mark.parametrize("name", EVERY_WRITE)


async def everything(store: SecretStore, secret: Secret) -> tuple[object, ...]:
    """Read all that a write to the journal could change."""
    waiting = [await store.rotations.waiting(channel, 1000) for channel in Channel]
    return await store.get(secret.id), await store.rotations.journal(secret.id), waiting


async def opened(store: SecretStore, secret: Secret) -> Rotation:
    """Read the rotation that is open."""
    rotation = (await store.rotations.journal(secret.id)).open
    assert rotation is not None
    return rotation


class RotationPromises(OneSecret):
    """Who may write, and what each step of a rotation does."""

    # Epochs

    async def test_each_epoch_is_newer_than_all_before(
        self, store: SecretStore, reopen: Opener
    ) -> None:
        first, second = await store.rotations.take_epoch(), await store.rotations.take_epoch()
        third = await (await reopen()).rotations.take_epoch()

        assert first < second < third

    async def test_only_the_newest_epoch_holds(self, store: SecretStore, epoch: int) -> None:
        await store.rotations.check_epoch(epoch)
        newer = await store.rotations.take_epoch()

        with pytest.raises(LeadershipLostError):
            await store.rotations.check_epoch(epoch)
        with pytest.raises(LeadershipLostError):
            await store.rotations.check_epoch(newer + 1)
        await store.rotations.check_epoch(newer)

    @every_write
    async def test_a_write_of_an_older_epoch_changes_nothing(
        self, store: SecretStore, epoch: int, secret: Secret, name: str
    ) -> None:
        rotation = await begun(store, epoch, secret)
        await store.rotations.take_epoch()
        before = await everything(store, secret)

        with pytest.raises(LeadershipLostError):
            await EVERY_WRITE[name](store, epoch, secret, rotation)
        assert await everything(store, secret) == before

    async def test_a_new_epoch_goes_on_with_what_an_older_one_began(
        self, store: SecretStore, epoch: int, secret: Secret
    ) -> None:
        rotation = await begun(store, epoch, secret)
        newer = await store.rotations.take_epoch()

        await store.rotations.promote(newer, rotation.id)

        assert (await store.get(secret.id)).stages.current == rotation.number

    # The state

    async def test_nothing_is_known_of_a_secret_that_was_never_rotated(
        self, store: SecretStore, secret: Secret
    ) -> None:
        assert await store.rotations.journal(secret.id) == Journal(None)
        assert await store.rotations.journal(uuid4()) == Journal(None)

    async def test_the_first_anchor_stands_until_the_times_are_settled(
        self, store: SecretStore, epoch: int, secret: Secret, reopen: Opener
    ) -> None:
        first = await store.rotations.anchor(epoch, secret.id, NOW)
        second = await store.rotations.anchor(epoch, secret.id, LATER)
        await store.rotations.note_token(epoch, secret.id, REQUEST)
        third = await store.rotations.settle(epoch, secret.id, LATER, AGAIN_AT)

        assert first == second == RotationState(NOW)
        assert third == RotationState(LATER, handled_token=REQUEST, retire_at=AGAIN_AT)
        assert (await (await reopen()).rotations.journal(secret.id)).state == third

    async def test_an_unknown_secret_has_no_anchor(self, store: SecretStore, epoch: int) -> None:
        with pytest.raises(SecretNotFoundError):
            await store.rotations.anchor(epoch, uuid4(), NOW)
        with pytest.raises(SecretNotFoundError):
            await store.rotations.settle(epoch, uuid4(), NOW, None)

    async def test_a_token_that_led_to_no_rotation_is_remembered(
        self, store: SecretStore, epoch: int, secret: Secret
    ) -> None:
        await store.rotations.anchor(epoch, secret.id, NOW)

        for token in ("an older one", REQUEST, REQUEST):
            await store.rotations.note_token(epoch, secret.id, token)

        state = (await store.rotations.journal(secret.id)).state
        assert state == RotationState(NOW, handled_token=REQUEST)

    # Beginning

    async def test_a_beginning_is_one_step(
        self, store: SecretStore, epoch: int, secret: Secret, reopen: Opener
    ) -> None:
        rotation = a_rotation(secret, token=REQUEST, by="jo")
        beginning = a_beginning(secret, rotation, identity="who", base="base")

        after = await store.rotations.begin(epoch, beginning)

        reopened = await reopen()
        assert after == await reopened.get(secret.id)
        assert after.stages == Stages({Stage.CURRENT: 1, Stage.PENDING: 2})
        assert await reopened.sealed(secret.id, 2) == beginning.sealed
        journal = await reopened.rotations.journal(secret.id)
        assert journal.rotations == (rotation,)
        assert journal.open == rotation
        assert journal.state == RotationState(NOW, handled_token=REQUEST, base="base")

    async def test_a_beginning_keeps_the_token_and_replaces_the_base(
        self, store: SecretStore, epoch: int, secret: Secret
    ) -> None:
        first = a_beginning(secret, a_rotation(secret, token=REQUEST), base="base")
        secret = await store.rotations.begin(epoch, first)
        await store.rotations.drop(epoch, first.rotation.id, told())

        await store.rotations.begin(epoch, a_beginning(secret, base="another"))

        state = (await store.rotations.journal(secret.id)).state
        assert state == RotationState(LATER, handled_token=REQUEST, base="another")

    async def test_a_token_that_is_not_the_resources_is_kept_with_the_rotation_alone(
        self, store: SecretStore, epoch: int, secret: Secret
    ) -> None:
        await store.rotations.anchor(epoch, secret.id, NOW)
        await store.rotations.note_token(epoch, secret.id, REQUEST)
        beginning = a_beginning(secret, a_rotation(secret, token=f"another than {REQUEST}"))

        await store.rotations.begin(epoch, replace(beginning, handled_token=""))

        journal = await store.rotations.journal(secret.id)
        assert journal.rotations == (beginning.rotation,)
        assert journal.state == RotationState(NOW, handled_token=REQUEST)

    async def test_repeating_a_beginning_changes_nothing(
        self, store: SecretStore, epoch: int, secret: Secret
    ) -> None:
        beginning = a_beginning(secret)
        await store.rotations.begin(epoch, beginning)
        before = await everything(store, secret)

        assert await store.rotations.begin(epoch, beginning) == before[0]
        assert await everything(store, secret) == before
        await store.rotations.promote(epoch, beginning.rotation.id)
        await store.rotations.finish(epoch, beginning.rotation.id, None, told())
        over = await everything(store, secret)
        await store.rotations.begin(epoch, beginning)
        assert await everything(store, secret) == over

    async def test_one_rotation_is_open_at_a_time(
        self, store: SecretStore, epoch: int, secret: Secret
    ) -> None:
        await begun(store, epoch, secret)
        before = await everything(store, secret)
        secret = await store.get(secret.id)

        with pytest.raises(StageMovedError):
            await store.rotations.begin(epoch, a_beginning(secret, identity="who"))
        assert await everything(store, secret) == before
        # Nothing of what was refused is held either.
        other = await a_secret(store, "other")
        await store.rotations.begin(epoch, a_beginning(other, identity="who"))

    async def test_a_promoted_rotation_is_open_until_it_is_finished(
        self, store: SecretStore, epoch: int, secret: Secret
    ) -> None:
        rotation = await promoted(store, epoch, secret)
        secret = await store.get(secret.id)

        with pytest.raises(StageMovedError):
            await store.rotations.begin(epoch, a_beginning(secret))
        await store.rotations.finish(epoch, rotation.id, None, told())
        await store.rotations.begin(epoch, a_beginning(secret))

    async def test_only_the_next_version_of_a_live_secret_can_be_begun(
        self, store: SecretStore, epoch: int, secret: Secret
    ) -> None:
        deleted = await a_deleted_secret(store, "deleted")
        skipping = a_beginning(secret, replace(a_rotation(secret), number=3))
        unknown = a_beginning(replace(secret, id=uuid4()))

        with pytest.raises(StageMovedError):
            await store.rotations.begin(epoch, skipping)
        with pytest.raises(SecretDeletedError):
            await store.rotations.begin(epoch, a_beginning(deleted))
        with pytest.raises(SecretNotFoundError):
            await store.rotations.begin(epoch, unknown)
        for each in (secret, deleted):
            assert await everything(store, each) == (each, Journal(None), [[], []])

    # The steps

    async def test_a_step_is_durable(
        self, store: SecretStore, epoch: int, secret: Secret, reopen: Opener
    ) -> None:
        rotation = await begun(store, epoch, secret)

        for _ in range(2):
            await store.rotations.record(epoch, rotation.id, Step.TEST_PENDING)

        at_test = replace(rotation, step=Step.TEST_PENDING)
        assert await opened(await reopen(), secret) == at_test

    async def test_failures_are_counted_and_the_last_one_is_kept(
        self, store: SecretStore, epoch: int, secret: Secret, reopen: Opener
    ) -> None:
        rotation = await begun(store, epoch, secret)
        last = Failure(Step.TEST_PENDING, "TargetUnavailable", "it does not answer")

        first = await store.rotations.fail(epoch, rotation.id, REFUSED, AGAIN_AT, told())
        second = await store.rotations.fail(epoch, rotation.id, last, LATER, told())

        assert first == replace(rotation, failures=1, failure=REFUSED, retry_at=AGAIN_AT)
        assert second == replace(rotation, failures=2, failure=last, retry_at=LATER)
        assert await opened(await reopen(), secret) == second

    async def test_a_rotation_that_is_given_up_turns_back_once(
        self, store: SecretStore, epoch: int, secret: Secret
    ) -> None:
        rotation = await begun(store, epoch, secret)
        failed = await store.rotations.fail(epoch, rotation.id, REFUSED, AGAIN_AT, told())

        for why in ("it failed too often", "cancelled"):
            await store.rotations.give_up(epoch, rotation.id, why)

        turned = replace(failed, step=Step.UNDO, give_up="it failed too often", retry_at=None)
        assert await opened(store, secret) == turned

    async def test_a_try_that_fails_after_it_was_given_up_puts_off_no_undo(
        self, store: SecretStore, epoch: int, secret: Secret
    ) -> None:
        rotation = await begun(store, epoch, secret)
        await store.rotations.give_up(epoch, rotation.id, "cancelled")
        undoing = Failure(Step.UNDO, "TargetUnavailable", "it does not answer")

        late = await store.rotations.fail(epoch, rotation.id, REFUSED, AGAIN_AT, told())
        undo = await store.rotations.fail(epoch, rotation.id, undoing, LATER, told())

        turned = replace(rotation, step=Step.UNDO, give_up="cancelled")
        assert late == turned
        assert undo == replace(turned, failures=1, failure=undoing, retry_at=LATER)

    async def test_a_promotion_moves_the_stages_and_the_step_at_once(
        self, store: SecretStore, epoch: int, secret: Secret, reopen: Opener
    ) -> None:
        rotation = await begun(store, epoch, secret)
        await store.rotations.fail(epoch, rotation.id, REFUSED, AGAIN_AT, told())
        await store.rotations.give_up(epoch, rotation.id, "it went forward after all")

        after = await store.rotations.promote(epoch, rotation.id)
        again = await store.rotations.promote(epoch, rotation.id)

        reopened = await reopen()
        assert after == again == await reopened.get(secret.id)
        assert after.stages == Stages({Stage.CURRENT: 2, Stage.PREVIOUS: 1})
        stands = await opened(reopened, secret)
        assert (stands.step, stands.give_up, stands.retry_at) == (Step.PROJECT, "", None)

    async def test_a_promotion_that_minds_it_is_refused_once_it_was_given_up(
        self, store: SecretStore, epoch: int, secret: Secret
    ) -> None:
        rotation = await begun(store, epoch, secret)
        await store.rotations.give_up(epoch, rotation.id, "cancelled")
        before = await everything(store, secret)

        with pytest.raises(StageMovedError):
            await store.rotations.promote(epoch, rotation.id, unless_given_up=True)
        assert await everything(store, secret) == before
        after = await store.rotations.promote(epoch, rotation.id)
        assert after.stages.current == rotation.number
        # It was promoted, whatever is minded now.
        assert await store.rotations.promote(epoch, rotation.id, unless_given_up=True) == after

    async def test_what_was_promoted_is_not_given_up(
        self, store: SecretStore, epoch: int, secret: Secret
    ) -> None:
        rotation = await promoted(store, epoch, secret)
        before = await everything(store, secret)

        await store.rotations.give_up(epoch, rotation.id, "too late")

        assert await everything(store, secret) == before
