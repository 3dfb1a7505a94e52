"""What becomes of a secret when its resource names another rotator."""

from dataclasses import replace
from typing import Any

import pytest

from fleet import Login
from keyturn.bootstrap.vault import Vault
from keyturn.domain.errors import TargetOwnedByOtherError, TargetUnavailableError
from keyturn.domain.rotation import Cause, RotatorRef, Step
from keyturn.services.rotation.look import Look
from keyturn.services.rotation.reporting import rotation_report
from keyturn.testing.store_rotation_samples import a_beginning
from keyturn.testing.store_samples import a_secret
from rotation_office import REF, FakeTarget, Operator, failing, world_of

ANOTHER: Any = {"kind": "ClusterRotator", "name": "orders"}


async def request(operator: Operator, token: str) -> Look:
    operator.world.token = token
    return await operator.settle()


def users(operator: Operator) -> set[str]:
    return {login.username for login in operator.world.target.accepted}


def condition(operator: Operator, look: Look) -> tuple[str, str, str]:
    report = rotation_report(operator.resource(), look)
    assert report is not None
    assert report.condition is not None
    return report.condition


@pytest.mark.parametrize("turns", [1, 2], ids=["the clone is current", "the base is current"])
async def test_the_same_users_alternate_with_it(vault: Vault, turns: int) -> None:
    operator = await Operator(vault, world_of("AlternatingUsers")).start()
    await operator.settle()
    for token in range(turns):
        await request(operator, f"before {token}")

    operator.world.rotated_by(rotatorRef=ANOTHER)
    named = []
    for token in range(3):
        await request(operator, f"after {token}")
        named.append((await operator.stored())["Current"].username)

    assert named == ["app", "app_clone", "app"][turns - 1 :] + ["app_clone"] * (turns - 1)
    assert users(operator) == {"app", "app_clone"}
    await operator.stop()


@pytest.mark.parametrize("has_users", [True, False], ids=["by a user name", "without one"])
async def test_what_was_rotated_by_the_one_before_is_not_retired_elsewhere(
    vault: Vault, has_users: bool
) -> None:
    world = world_of(coexists=True, overlap={"max": "1h"})
    world.target.has_users = has_users
    operator = await Operator(vault, world).start()
    await operator.settle()
    await request(operator, "one")

    world.rotated_by(rotatorRef=ANOTHER)
    look = await operator.later(hours=1)

    assert [act for act, _ in world.target.done if act == "retire"] == []
    assert look.trouble is not None
    assert look.trouble.step is Step.RETIRE
    assert condition(operator, look) == (
        "False",
        "RetireFailed",
        "retire failed with InvalidSpec: version 1 was rotated with another rotator or user: name "
        "that one in spec.rotation until it is retired; or rotate, and end it there yourself",
    )
    assert look.secret.stages.previous == 1
    world.rotated_by(rotatorRef={"kind": "Rotator", "name": "orders"})
    look = await operator.settle()
    assert look.trouble is None
    assert world.target.accepted == {world.projected}
    await operator.stop()


async def test_it_is_told_what_may_be_valid_in_the_target_before(vault: Vault) -> None:
    operator = await Operator(vault, world_of(coexists=True)).start()
    await operator.settle()
    await request(operator, "one")
    operator.world.rotated_by(rotatorRef=ANOTHER)

    look = await request(operator, "two")

    assert condition(operator, look) == (
        "True",
        "SecretRotated",
        "Version 3 is the result of the last rotation. Up to version 2 another rotator was named: "
        "if its target is another one, end there yourself what it still accepts.",
    )
    assert [act for act, _ in operator.world.target.done if act == "retire"] == []
    operator.world.change("host", "another")
    look = await operator.settle()
    assert "Up to version 2" in condition(operator, look)[2]
    look = await request(operator, "three")
    assert "Up to version" not in condition(operator, look)[2]
    await operator.stop()


async def test_without_user_names_a_rotation_that_has_begun_is_not_gone_on_with_elsewhere(
    vault: Vault,
) -> None:
    operator = await Operator(vault, world_of()).start()
    operator.world.target.has_users = False
    await operator.settle()
    with failing(operator.world.target, "set", TargetUnavailableError("it does not answer")):
        await request(operator, "one")
    acts = len(operator.world.target.done)

    operator.world.rotated_by(rotatorRef=ANOTHER)
    look = await operator.settle()

    assert look.trouble is not None
    assert "put spec.rotation back" in look.trouble.message
    assert len(operator.world.target.done) == acts
    await operator.stop()


@pytest.mark.parametrize("has_users", [True, False], ids=["by a user name", "without one"])
@pytest.mark.parametrize("is_cancelled", [True, False], ids=["cancelled", "given up by itself"])
async def test_a_rotation_with_a_wrong_one_ends_once_the_right_one_is_named_again(
    vault: Vault, *, has_users: bool, is_cancelled: bool
) -> None:
    world = world_of(coexists=True, maxFailures=10 if is_cancelled else 1)
    right, wrong = world.target, FakeTarget(coexists=True, accepted=set())
    right.has_users = wrong.has_users = has_users
    operator = await Operator(vault, world).start()
    await operator.settle()
    world.rotated_by(rotatorRef=ANOTHER)
    world.target = wrong
    with failing(wrong, "lock", TargetUnavailableError("there is nobody")):
        await request(operator, "one")

    world.rotated_by(rotatorRef=REF._asdict())
    world.target = right
    look = await operator.settle()
    if is_cancelled:
        assert look.trouble is not None
        assert "keyturn rotate db -n shop --cancel" in look.trouble.message
        await operator.rotations.cancel(await operator.secret(), "jo")
        look = await operator.settle()

    assert condition(operator, look)[1] == "RotationAbandoned"
    assert right.accepted == {world.projected}
    assert {act for act, _ in right.done[-2:]} == {"accepts"}
    look = await request(operator, "two")
    assert condition(operator, look)[1] == "SecretRotated"
    await operator.stop()


@pytest.mark.parametrize("named", ["the right one", "the wrong one"])
async def test_what_was_rotated_before_a_wrong_one_was_given_up_is_retired_when_it_is_due(
    vault: Vault, named: str
) -> None:
    """Only a rotation that was promoted says where the credentials of a secret are valid."""
    world = world_of(coexists=True, overlap={"max": "1h"})
    right, wrong = world.target, FakeTarget(coexists=True, accepted=set())
    operator = await Operator(vault, world).start()
    await operator.settle()
    await request(operator, "one")
    world.rotated_by(rotatorRef=ANOTHER)
    world.target = wrong
    with failing(wrong, "lock", TargetUnavailableError("there is nobody")):
        await request(operator, "two")
    # It would do for the end there, too, but not for a retirement.
    wrong.accepted = {(await operator.stored())["Current"]}
    if named == "the right one":
        world.rotated_by(rotatorRef=REF._asdict())
        world.target = right
    await operator.rotations.cancel(await operator.secret(), "jo")
    await operator.settle()
    assert world.target.accepted >= {world.projected}

    world.rotated_by(rotatorRef=REF._asdict())
    world.target = right
    look = await operator.later(hours=1)

    assert look.trouble is None
    assert look.secret.stages.previous is None
    assert right.accepted == {world.projected}
    assert "retire" not in {act for act, _ in wrong.done}
    await operator.stop()


async def test_it_does_not_end_where_the_current_credential_is_not_known(vault: Vault) -> None:
    """The rotation may have changed it in the target that was named before."""
    world = world_of(maxFailures=1)
    operator = await Operator(vault, world).start()
    await operator.settle()
    with failing(world.target, "lock", TargetUnavailableError("it does not answer")):
        await request(operator, "one")

    world.target.accepted = {Login("app", "another")}
    world.rotated_by(rotatorRef=ANOTHER)
    look = await operator.settle()

    assert look.journal.open is not None
    assert look.journal.open.failure is not None
    assert look.journal.open.failure.code == "BothRefused"
    assert world.target.accepted == {Login("app", "another")}
    await operator.stop()


@pytest.mark.parametrize("way", ["another rotator", "no rotation"])
async def test_a_target_that_took_nothing_of_a_secret_has_no_user_retired_for_it(
    vault: Vault, way: str
) -> None:
    """Else whoever may name a rotator has a user of its target locked out by one of that name."""
    world = world_of("AlternatingUsers", overlap={"max": "1h"})
    mine, others = world.target, FakeTarget(accepted={Login("app", "of somebody else")})
    operator = await Operator(vault, world).start()
    await operator.settle()
    await request(operator, "one")
    asked = world.rotation or {}
    world.rotated_by(rotatorRef=ANOTHER)
    world.target = others
    await request(operator, "two")
    await operator.rotations.cancel(await operator.secret(), "jo")
    if way == "another rotator":
        world.rotated_by(rotatorRef=REF._asdict())
        world.target = mine
    else:
        world.rotation = None
        world.generation += 1
        # Who cancelled before was not told to see to the target.
        assert (await operator.settle()).journal.open is not None
        await operator.rotations.cancel(await operator.secret(), "jo")
    look = await operator.settle()
    assert look.journal.open is None

    world.rotation = asked
    world.rotated_by(rotatorRef=ANOTHER)
    world.target = others
    look = await operator.later(hours=1)

    assert "retire" not in {act for act, _ in others.done}
    assert condition(operator, look)[1] == "RetireFailed"
    await operator.stop()


@pytest.mark.parametrize("allowed", [(), ("app",)], ids=["proves it", "may set it"])
async def test_a_user_that_another_secret_took_meanwhile_is_not_retired(
    vault: Vault, allowed: tuple[str, ...]
) -> None:
    """The previous user of the one is the current user of the other."""
    world = world_of("AlternatingUsers", overlap={"max": "1h"})
    world.allowed = allowed
    operator = await Operator(vault, world).start()
    await operator.settle()
    await request(operator, "one")
    secret = await operator.secret()
    state = (await operator.journal.journal(secret.id)).state
    assert state is not None
    await vault.store.mark_deleted(secret.id, resource_uid=secret.resource_uid, now=world.now)
    operator.rotations.forget(secret.name)
    other = a_beginning(await a_secret(vault.store, "other"), identity=state.base)
    await operator.journal.begin(operator.leadership.epoch, other)

    look = await operator.later(hours=1)

    assert look.secret.stages.previous == 1
    assert look.trouble is not None
    assert (look.trouble.step, look.trouble.code) == (Step.RETIRE, TargetOwnedByOtherError.code)
    assert users(operator) == {"app", "app_clone"}
    await operator.stop()


async def test_what_it_cannot_retire_keeps_back_no_change_of_another_value(vault: Vault) -> None:
    world = world_of("AlternatingUsers", overlap={"max": "1d"}, suspend=True)
    operator = await Operator(vault, world).start()
    await operator.settle()
    await request(operator, "one")
    world.rotated_by(rotatorRef=ANOTHER)
    await operator.later(days=1)

    world.change("host", "another")
    look = await operator.settle()

    assert look.journal.rotations[0].cause is Cause.CHANGE
    assert look.journal.open is None
    # It was tested there, so it is the same target, or was set there anew.
    assert "Up to version 2 another rotator was named" in condition(operator, look)[2]
    assert look.secret.stages.previous is None
    await operator.stop()


async def test_what_was_rotated_without_a_target_is_valid_in_none(vault: Vault) -> None:
    world = world_of(overlap={"max": "1h"})
    world.given = {}
    world.rotated_by(rotatorRef=None, strategy=None)
    operator = await Operator(vault, world).start()
    await operator.settle()
    await request(operator, "one")

    world.rotated_by(rotatorRef=ANOTHER, strategy="SingleUser")
    look = await operator.later(hours=1)

    assert look.trouble is None
    assert look.secret.stages.previous is None
    world.target.accepted |= {(await operator.stored())["Current"]}
    look = await request(operator, "two")
    assert "Up to version" not in condition(operator, look)[2]
    await operator.stop()


async def test_a_store_of_before_there_were_digests_of_each_alone_is_read(vault: Vault) -> None:
    """There the one of both tells; with another rotator it is not known who is the clone."""
    operator = await Operator(vault, world_of("AlternatingUsers")).start()
    await operator.settle()
    await request(operator, "one")
    identities = operator.performing._pending.identities
    resource = operator.resource()
    assert resource.spec.rotation is not None
    assert resource.spec.rotation.rotator is not None
    aiming = operator.performing._aiming
    settings = await aiming.settings(resource.name, resource.spec.rotation.rotator)
    state = (await operator.journal.journal((await operator.secret()).id)).state
    assert state is not None
    older = replace(state, rotator="", base_user="")

    async with aiming.aim(resource, resource.spec.rotation, settings) as aim:
        assert identities.base_of("app_clone", older, aim) == "app"
        assert not identities.is_another("app", older, aim)
        assert identities.is_another("root", older, aim)
    another = replace(settings, ref=RotatorRef(**ANOTHER))
    async with aiming.aim(resource, resource.spec.rotation, another) as aim:
        assert identities.base_of("app_clone", older, aim) == "app_clone"
        assert identities.base_of("app_clone", state, aim) == "app"
        assert identities.is_another("app", older, aim)
    await operator.stop()
