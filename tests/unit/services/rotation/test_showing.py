"""No rotation in a target begins while a native Secret would keep the old credential."""

from typing import Any, cast

import pytest

from fleet import Login
from keyturn.bootstrap.vault import Vault
from keyturn.domain.errors import (
    ConflictError,
    DeniedError,
    SecretLeftBehindError,
    StorageFullError,
    TargetUnavailableError,
)
from keyturn.domain.rotation import Cause, Step
from keyturn.domain.secret import Projected
from keyturn.services.rotation.pending import Wanted
from keyturn.services.rotation.reporting import rotation_report
from rotation_office import NAME, Operator, World, failing, world_of, written

LEFT_BEHIND = DeniedError("the Secret shared is somebody else's")
REQUEST = Wanted(Cause.REQUEST, "jo")


async def causes(operator: Operator) -> list[str]:
    return [each.cause.value for each in reversed(await operator.rotations_of())]


async def begin(operator: Operator, *, force: bool = False) -> None:
    secret = await operator.secret()
    await operator.rotations.begin(operator.resource(), secret, REQUEST, force=force)


@pytest.mark.parametrize("is_new", [False, True], ids=["goes on", "is started anew"])
async def test_a_change_goes_before_a_rotation_that_waits(vault: Vault, *, is_new: bool) -> None:
    """Else a Secret that lacks a key would wait for the rotation, and that for the Secret."""
    world = world_of(interval="1d")
    operator = await Operator(vault, world).start()
    await operator.settle()
    world.left_behind = LEFT_BEHIND
    await operator.later(days=1)
    if is_new:
        await operator.stop()
        operator = await Operator(vault, world).start()

    world.change("host", "db.example")
    await operator.settle()
    assert await causes(operator) == ["Initial", "Change"]
    world.left_behind = None
    await operator.settle()

    assert await causes(operator) == ["Initial", "Change", "Schedule"]
    await operator.stop()


async def test_news_are_not_forgotten_while_the_secrets_cannot_be_looked_at(vault: Vault) -> None:
    """Else what was mended would wait for the end of a back-off."""
    world = world_of()
    operator = await Operator(vault, world).start()
    await operator.settle()

    async def full() -> None:
        raise StorageFullError("no space")

    world.before_begin, world.token = full, "one"
    look = await operator.settle()
    assert look.trouble is not None

    world.before_begin = written
    operator.rotations.news(NAME)
    resource, secret = operator.resource(), await operator.secret()
    await operator.rotations.look(resource, secret, cast("Any", None), has_failed=False)
    await operator.settle()

    assert await causes(operator) == ["Initial", "Request"]
    await operator.stop()


@pytest.mark.parametrize("cause", ["Schedule", "Request"])
async def test_it_begins_once_every_secret_can_be_written(vault: Vault, cause: str) -> None:
    world = world_of(interval="1d")
    operator = await Operator(vault, world).start()
    await operator.settle()
    world.left_behind = LEFT_BEHIND
    if cause == "Request":
        world.token = "one"

    look = await operator.later(days=0 if cause == "Request" else 1)

    assert await causes(operator) == ["Initial"]
    assert world.target.accepted == {Login("app", "seed")}
    report = rotation_report(operator.resource(), look)
    assert report is not None
    assert report.condition == (
        "False",
        "CreatePendingFailed",
        "createPending failed with Denied: no rotation begins while a Secret would keep the old "
        "credential: the Secret shared is somebody else's",
    )
    world.left_behind = None
    look = await operator.settle()
    assert await causes(operator) == ["Initial", cause]
    assert look.trouble is None
    assert world.target.accepted == {world.projected}
    await operator.stop()


async def test_one_that_waits_for_room_is_taken_back(vault: Vault, operator: Operator) -> None:
    await operator.settle()
    await operator.stop()
    idle = Operator(vault, operator.world)
    await idle.leadership.take()
    idle.world.token = "one"
    await idle.reconcile()
    assert len(idle.pool) == 1

    idle.world.left_behind = LEFT_BEHIND
    await idle.reconcile()

    assert not idle.pool


async def test_one_that_is_under_way_goes_on_to_its_end(operator: Operator) -> None:
    await operator.settle()
    with failing(operator.world.target, "accepts", TargetUnavailableError("it is down")):
        operator.world.token = "one"
        await operator.settle()
    operator.world.left_behind = LEFT_BEHIND

    look = await operator.later(minutes=1)

    assert look.secret.stages.current == 2
    assert look.journal.open is not None
    assert look.journal.open.step is Step.PROJECT
    operator.world.left_behind = None
    look = await operator.settle()
    assert look.journal.open is None


async def test_a_change_beside_the_credential_begins(operator: Operator) -> None:
    """It may be what the Secret lacks."""
    await operator.settle()
    operator.world.left_behind = LEFT_BEHIND

    operator.world.change("host", "db.example")
    await operator.settle()

    assert await causes(operator) == ["Initial", "Change"]


async def test_without_a_target_nobody_is_locked_out(vault: Vault) -> None:
    world = World(world_of().target, {"interval": "1d"}, left_behind=LEFT_BEHIND)
    operator = await Operator(vault, world).start()
    await operator.settle()

    await operator.later(days=1)

    assert await causes(operator) == ["Schedule"]
    await operator.stop()


async def test_a_person_is_refused_unless_by_force(operator: Operator) -> None:
    await operator.settle()
    operator.world.left_behind = LEFT_BEHIND
    await operator.settle()

    with pytest.raises(SecretLeftBehindError, match=r"else's; or lock out .* rotate db .* --force"):
        await begin(operator)
    await begin(operator, force=True)

    assert await causes(operator) == ["Initial", "Request"]


@pytest.mark.parametrize("shows", [None, 1, 2])
async def test_before_the_first_look_what_was_written_last_counts(
    vault: Vault, operator: Operator, shows: int | None
) -> None:
    await operator.settle()
    operator.world.token = "one"
    await operator.settle()
    await operator.stop()
    if shows is not None:
        record = Projected("db", "uid", "1", shows, "digest", "fingerprint")
        secret = await operator.secret()
        await vault.store.record_projection(secret.id, record, since=operator.now())

    again = await Operator(vault, operator.world).start()
    if shows == 2:
        await begin(again)
    else:
        with pytest.raises(ConflictError, match="not looked at yet"):
            await begin(again)
    await again.stop()
