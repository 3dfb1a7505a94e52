"""What the pending versions hold, made by real generators on a real store."""

import asyncio

import pytest

from fleet import Login
from keyturn.bootstrap.vault import Vault
from keyturn.domain.errors import InvalidSpecError, TargetUnavailableError
from keyturn.domain.rotation import Cause
from keyturn.domain.stage import Stage
from keyturn.domain.version import VersionReason
from keyturn.services.rotation.pending import Wanted
from rotation_office import FakeSession, Operator, World, failing, world_of


async def request(operator: Operator, token: str) -> Login:
    operator.world.token = token
    await operator.settle()
    assert operator.world.projected is not None
    return operator.world.projected


async def values(operator: Operator, number: int) -> dict[str, str]:
    with await operator.vault.versions.open(await operator.secret(), number) as payload:
        return {key: bytes(payload[key].reveal()).decode() for key in payload}


async def roll_back(operator: Operator, number: int) -> None:
    wanted = Wanted(Cause.ROLLBACK, "jo", back_to=number)
    await operator.rotations.begin(operator.resource(), await operator.secret(), wanted)
    await operator.settle()


async def test_only_what_the_rotator_rotates_is_new(vault: Vault) -> None:
    world = world_of()
    world.data.append({"key": "token", "generate": {"password": {}}})
    world.change("host", "db.example")
    operator = await Operator(vault, world).start()
    await operator.settle()
    before = await values(operator, 1)

    await request(operator, "one")
    after = await values(operator, 2)

    assert after["password"] != before["password"]
    assert {**after, "password": ""} == {**before, "password": ""}
    await operator.stop()


async def test_a_generator_that_changed_applies_at_the_next_rotation(operator: Operator) -> None:
    await operator.settle()
    entries = [each for each in operator.world.data if each["key"] != "password"]
    longer = {"key": "password", "generate": {"password": {"length": 40, "symbols": 0}}}
    operator.world.data = [*entries, longer]
    operator.world.generation += 1

    look = await operator.settle()
    assert look.secret.stages.current == 1
    login = await request(operator, "one")

    assert len(login.password) == 40


async def test_a_user_name_belongs_to_the_rotation_once_there_is_a_version(
    operator: Operator,
) -> None:
    await operator.settle()

    operator.world.change("username", "somebody")
    await operator.settle()
    login = await request(operator, "one")

    assert login.username == "app"


async def test_a_change_beside_it_keeps_the_credential(operator: Operator) -> None:
    await operator.settle()

    operator.world.change("host", "db.example")
    look = await operator.settle()

    assert look.secret.stages.current == 2
    assert await values(operator, 2) == {
        "username": "app",
        "password": "seed",
        "host": "db.example",
    }
    assert look.secret.version(2).reason is VersionReason.SPEC_CHANGED
    assert not [act for act, _ in operator.world.target.done if act == "set"]


async def test_users_alternate_also_over_changes_and_requests(vault: Vault) -> None:
    operator = await Operator(vault, world_of("AlternatingUsers")).start()
    await operator.settle()
    users = []
    for turn in range(4):
        operator.world.change("host", str(turn))
        await operator.settle()
        users.append((await request(operator, str(turn))).username)

    assert users == ["app_clone", "app", "app_clone", "app"]
    await operator.stop()


async def test_a_rotator_that_is_made_again_rotates_the_same_users(vault: Vault) -> None:
    operator = await Operator(vault, world_of("AlternatingUsers")).start()
    await operator.settle()
    assert (await request(operator, "one")).username == "app_clone"

    operator.world.uid = "another"
    operator.world.generation += 1

    assert (await request(operator, "two")).username == "app"
    await operator.stop()


async def test_a_user_that_only_looks_like_a_clone_is_none(vault: Vault) -> None:
    world = world_of("AlternatingUsers")
    world.change("username", "x_clone")
    world.target.accepted = {Login("x_clone", "seed")}
    operator = await Operator(vault, world).start()
    await operator.settle()

    assert (await request(operator, "one")).username == "x_clone_clone"
    assert (await request(operator, "two")).username == "x_clone"
    await operator.stop()


async def test_a_rollback_sets_the_old_value_in_a_new_version(operator: Operator) -> None:
    await operator.settle()
    await request(operator, "one")

    await roll_back(operator, 1)

    secret = await operator.secret()
    assert secret.stages.versions == {Stage.CURRENT: 3, Stage.PREVIOUS: 2}
    assert secret.version(3).reason is VersionReason.ROLLED_BACK
    assert operator.world.projected == Login("app", "seed")
    assert operator.world.target.accepted == {Login("app", "seed")}


async def test_it_is_not_rolled_forward_again(operator: Operator) -> None:
    await operator.settle()
    operator.world.change("host", "db.example")
    await operator.settle()

    await roll_back(operator, 1)
    await operator.later(days=1)

    assert (await operator.secret()).stages.current == 3
    assert "host" not in await values(operator, 3)


@pytest.mark.parametrize("what", ["request", "change"])
async def test_what_the_current_version_lacks_after_a_rollback_comes_with_the_next_one(
    vault: Vault, what: str
) -> None:
    world = World(world_of().target, {"interval": "30d"})
    operator = await Operator(vault, world).start()
    await operator.settle()
    world.data.append({"key": "token", "generate": {"password": {}}})
    world.change("host", "db.example")
    await operator.settle()
    newest = await values(operator, 2)
    await vault.store.promote((await operator.secret()).id, 1, expected=2)
    assert (await operator.settle()).secret.stages.current == 1

    if what == "request":
        await request(operator, "one")
    else:
        world.change("other", "new")
        await operator.settle()

    after = await values(operator, 3)
    assert after.keys() >= newest.keys()
    assert after["host"] == "db.example"
    # Such a rotation renews all that is generated.
    assert (after["token"] == newest["token"]) is (what == "change")
    await operator.stop()


async def test_what_is_lacking_comes_also_where_the_target_issues_all_that_is_new(
    vault: Vault,
) -> None:
    world = world_of()
    world.target.issues = True
    rotation, world.rotation = world.rotation, None
    operator = await Operator(vault, world).start()
    await operator.settle()
    world.change("host", "db.example")
    await operator.settle()
    await vault.store.promote((await operator.secret()).id, 1, expected=2)
    world.rotation = rotation
    world.generation += 1
    await operator.settle()
    world.target.accepted |= {Login("app", "issued")}

    await request(operator, "one")

    assert await values(operator, 3) == {
        "username": "app",
        "password": "issued",
        "host": "db.example",
    }
    await operator.stop()


async def test_going_back_to_the_user_that_is_current_is_refused(vault: Vault) -> None:
    operator = await Operator(vault, world_of("AlternatingUsers")).start()
    await operator.settle()
    await request(operator, "one")
    await request(operator, "two")

    with pytest.raises(InvalidSpecError, match="of the user that is current"):
        await roll_back(operator, 1)
    await roll_back(operator, 2)

    assert operator.world.projected is not None
    assert operator.world.projected.username == "app_clone"
    await operator.stop()


async def test_what_the_target_issues_is_stored_and_the_rest_is_left(vault: Vault) -> None:
    world = world_of()
    world.target.issues = True
    operator = await Operator(vault, world).start()
    await operator.settle()
    world.target.accepted |= {Login("app", "issued")}

    login = await request(operator, "one")

    assert login == Login("app", "issued")
    assert await values(operator, 2) == {"username": "app", "password": "issued"}
    await operator.stop()


async def test_what_was_issued_is_stored_although_the_operator_stops(vault: Vault) -> None:
    """Only the target knows it before, and it gives it once."""
    world = world_of()
    world.target.issues = True
    operator = await Operator(vault, world).start()
    await operator.settle()
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def waits(session: FakeSession, act: str, login: Login | None) -> None:
        if act == "issue":
            asked.set()
            await go_on.wait()

    world.target.acts = waits
    world.token = "one"
    looking = asyncio.create_task(operator.settle())
    await asked.wait()
    stopping = asyncio.create_task(operator.stop())
    await asyncio.sleep(0)
    go_on.set()
    await stopping
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)

    assert (await operator.secret()).stages.pending == 2
    assert await values(operator, 2) == {"username": "app", "password": "issued"}


async def test_what_was_issued_before_cannot_be_gone_back_to(vault: Vault) -> None:
    world = world_of()
    world.target.issues = True
    operator = await Operator(vault, world).start()
    await operator.settle()
    world.target.accepted |= {Login("app", "issued")}
    await request(operator, "one")

    with pytest.raises(InvalidSpecError, match="is spent"):
        await roll_back(operator, 1)
    await operator.stop()


async def test_nothing_is_issued_before_all_else_is_there(vault: Vault) -> None:
    """From then on the target may take no other value, and each error would lose it."""
    world = world_of("AlternatingUsers")
    world.target.issues = True
    long = "a" * 60
    world.change("username", long)
    world.target.accepted = {Login(long, "seed")}
    operator = await Operator(vault, world).start()
    await operator.settle()
    world.token = "one"

    look = await operator.settle()

    assert look.trouble is not None
    assert "choose a shorter user name" in look.trouble.message
    assert "issue" not in [act for act, _ in world.target.done]
    await operator.stop()


async def test_a_pending_version_outlives_any_number_of_others(vault: Vault) -> None:
    """The history is pruned at each version, and never what holds a stage."""
    operator = await Operator(vault, world_of(maxFailures=1)).start()
    await operator.settle()
    for number in range(14):
        refused = failing(operator.world.target, "set", TargetUnavailableError("no"))
        with refused:
            operator.world.token = str(number)
            await operator.settle()
        await operator.later(minutes=1)

    secret = await operator.secret()
    assert secret.stages.current == 1
    assert secret.version(1).number == 1
    assert len(secret.versions) <= 12
    assert await request(operator, "at last")
    await operator.stop()


async def test_every_act_sees_the_base_user(vault: Vault) -> None:
    operator = await Operator(vault, world_of("AlternatingUsers")).start()
    bases = set()

    async def acts(session: FakeSession, act: str, login: Login | None) -> None:
        bases.add(session.order.base_username)

    operator.world.target.acts = acts
    await operator.settle()
    for token in ("one", "two"):
        await request(operator, token)

    assert bases == {"app"}
    await operator.stop()
