"""What becomes of a secret when its resource names another rotator."""

from dataclasses import replace
from typing import Any

import pytest

from keyturn.bootstrap.vault import Vault
from keyturn.domain.errors import TargetUnavailableError
from keyturn.domain.rotation import RotatorRef, Step
from keyturn.services.rotation.look import Look
from keyturn.services.rotation.reporting import rotation_report
from rotation_office import Operator, failing, world_of

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
