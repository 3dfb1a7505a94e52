from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from keyturn.domain.errors import AwaitingInputError, InvalidSpecError
from keyturn.domain.managed_secret import (
    ConfigMapKey,
    DataKey,
    Generate,
    Input,
    Literal,
    ManagedSecretSpec,
    Source,
)
from keyturn.domain.payload import Payload, SecretValue
from keyturn.domain.secret import Secret, SecretName
from keyturn.domain.stage import Stages
from keyturn.domain.version import Version, VersionReason
from keyturn.generators.interface import Materials, Needs
from keyturn.services.generating import Generating
from keyturn.services.next_version import (
    NO_ROTATION,
    Plan,
    RotatedKeys,
    Standing,
    payload_of,
    plan,
    plan_put,
)

NOW = datetime(2030, 1, 1, tzinfo=UTC)
NAME = SecretName("shop", "db")


class Counting:
    """A generator that numbers what it makes; `of` makes it from a sibling."""

    def __init__(self) -> None:
        self.made = 0

    def outputs(self, key: str, parameters: Mapping[str, Any]) -> Mapping[str, str]:
        return {"value": key}

    def needs(self, parameters: Mapping[str, Any]) -> Needs:
        return Needs(siblings=frozenset([parameters["of"]] if "of" in parameters else []))

    def generate(
        self, key: str, parameters: Mapping[str, Any], materials: Materials
    ) -> Mapping[str, SecretValue]:
        self.made += 1
        sibling = (
            bytes(materials.siblings[parameters["of"]].reveal()) if "of" in parameters else b""
        )
        return {key: SecretValue(b"made-%d" % self.made + sibling)}


class Pairing(Counting):
    """One that fills a second key beside its own."""

    def outputs(self, key: str, parameters: Mapping[str, Any]) -> Mapping[str, str]:
        return {"value": key, "public": f"{key}.pub"}

    def generate(
        self, key: str, parameters: Mapping[str, Any], materials: Materials
    ) -> Mapping[str, SecretValue]:
        self.made += 1
        return {name: SecretValue(b"pair-%d" % self.made) for name in (key, f"{key}.pub")}


def fingerprint(purpose: str, *parts: bytes | memoryview) -> str:
    return purpose + "|".join(bytes(part).decode() for part in parts)


def spec(**sources: Source) -> ManagedSecretSpec:
    return ManagedSecretSpec(tuple(DataKey(key, s, (key,)) for key, s in sources.items()))


class Line:
    """A secret's line of versions, without a store."""

    def __init__(self) -> None:
        generators = {"count": Counting(), "pair": Pairing()}
        self.generating = Generating(generators, None, lambda: NOW)
        self.payloads: dict[int, dict[str, bytes]] = {}
        self.versions: list[Version] = []
        self.stages = Stages()
        self.unreadable: set[int] = set()

    @property
    def secret(self) -> Secret:
        return Secret(uuid4(), "n", NAME, "r", NOW, self.stages, versions=tuple(self.versions))

    def plan(
        self,
        wanted: ManagedSecretSpec,
        followed: Mapping[str, bytes],
        rotation: RotatedKeys = NO_ROTATION,
    ) -> Plan | None:
        return plan(
            wanted,
            self.secret,
            followed={key: SecretValue(value) for key, value in followed.items()},
            fingerprint=fingerprint,
            siblings_of=self.generating.siblings_of,
            rotation=rotation,
        )

    async def sync(self, wanted: ManagedSecretSpec, **followed: bytes) -> dict[str, bytes] | None:
        """Do what a reconcile does; return the new payload, None where none was due."""
        planned = self.plan(wanted, followed)
        return None if planned is None else await self.commit(planned, wanted)

    async def rotate(self, wanted: ManagedSecretSpec, *renewed: str) -> dict[str, bytes]:
        planned = self.plan(wanted, {}, RotatedKeys(renewed=frozenset(renewed)))
        assert planned is not None
        return await self.commit(planned, wanted)

    async def put(self, wanted: ManagedSecretSpec, **given: bytes) -> dict[str, bytes]:
        values = {key: SecretValue(value) for key, value in given.items()}
        planned = plan_put(
            wanted,
            self.secret,
            values,
            fingerprint=fingerprint,
            siblings_of=self.generating.siblings_of,
        )
        return await self.commit(planned, wanted)

    async def commit(self, planned: Plan, wanted: ManagedSecretSpec) -> dict[str, bytes]:
        standing = Standing(self.open(self.stages.current), self.open(planned.compared))
        payload = await payload_of(planned, wanted, NAME, standing, self.generating)
        number = len(self.versions) + 1
        made = Version(number, uuid4(), NOW, planned.reason, "local-0", planned.origins)
        self.versions.append(made)
        self.payloads[number] = {key: bytes(value.reveal()) for key, value in payload.items()}
        self.stages = self.stages.promote(number)
        return self.payloads[number]

    def open(self, number: int | None) -> Payload:
        readable = number is not None and number not in self.unreadable
        fields = self.payloads[number] if number is not None and readable else {}
        return Payload({key: SecretValue(value) for key, value in fields.items()})


GENERATED = Generate("count", {})


async def test_a_new_key_does_not_regenerate_the_others() -> None:
    line = Line()
    await line.sync(spec(password=GENERATED))

    after = await line.sync(spec(password=GENERATED, token=GENERATED))

    assert after == {"password": b"made-1", "token": b"made-2"}


async def test_an_unchanged_specification_makes_no_version() -> None:
    line = Line()
    await line.sync(spec(password=GENERATED))

    assert await line.sync(spec(password=GENERATED)) is None


async def test_a_changed_literal_changes_only_its_key() -> None:
    line = Line()
    await line.sync(spec(user=Literal("a"), password=GENERATED))

    after = await line.sync(spec(user=Literal("b"), password=GENERATED))

    assert after == {"user": b"b", "password": b"made-1"}
    assert line.versions[-1].reason is VersionReason.SPEC_CHANGED


async def test_a_removed_key_is_left_out_of_the_next_version() -> None:
    line = Line()
    await line.sync(spec(user=Literal("a"), password=GENERATED))

    assert await line.sync(spec(password=GENERATED)) == {"password": b"made-1"}


async def test_a_changed_source_object_makes_a_version_and_says_why() -> None:
    line, wanted = Line(), spec(host=ConfigMapKey("orders", "host"), password=GENERATED)
    await line.sync(wanted, host=b"pg-1")

    after = await line.sync(wanted, host=b"pg-2")

    assert after == {"host": b"pg-2", "password": b"made-1"}
    assert line.versions[-1].reason is VersionReason.SOURCE_CHANGED


async def test_a_rollback_is_not_rolled_forward() -> None:
    line = Line()
    await line.sync(spec(user=Literal("a")))
    await line.sync(spec(user=Literal("b")))

    line.stages = line.stages.promote(1)

    assert await line.sync(spec(user=Literal("b"))) is None


async def test_after_a_rollback_a_change_carries_over_what_is_current() -> None:
    line = Line()
    await line.sync(spec(user=Literal("a"), password=GENERATED))
    await line.sync(spec(user=Literal("a"), password=Generate("count", {"n": 2})))
    line.stages = line.stages.promote(1)

    after = await line.sync(spec(user=Literal("c"), password=Generate("count", {"n": 2})))

    assert after == {"user": b"c", "password": b"made-1"}


async def test_an_input_is_awaited_by_name() -> None:
    line = Line()

    with pytest.raises(AwaitingInputError, match="keyturn put db -n shop --key token"):
        await line.sync(spec(token=Input()))


async def test_an_input_that_was_put_stands() -> None:
    line, wanted = Line(), spec(token=Input(), password=GENERATED)

    after = await line.put(wanted, token=b"given")

    assert after == {"token": b"given", "password": b"made-1"}
    assert await line.sync(wanted) is None


async def test_a_put_on_a_generated_key_stands() -> None:
    line, wanted = Line(), spec(password=GENERATED)
    await line.sync(wanted)

    assert await line.put(wanted, password=b"given") == {"password": b"given"}
    assert await line.sync(wanted) is None


@pytest.mark.parametrize("source", [Literal("a"), ConfigMapKey("orders", "host")])
async def test_a_put_on_a_key_with_a_source_of_its_own_is_refused(source: Source) -> None:
    with pytest.raises(InvalidSpecError, match="source of its own"):
        await Line().put(spec(key=source), key=b"given")


async def test_a_put_on_a_key_that_is_not_there_is_refused() -> None:
    with pytest.raises(InvalidSpecError, match="has no key"):
        await Line().put(spec(key=Input()), other=b"given")


async def test_what_is_made_from_a_value_follows_it() -> None:
    line = Line()
    wanted = spec(hash=Generate("count", {"of": "password"}), password=GENERATED)
    await line.sync(wanted)

    after = await line.put(wanted, password=b"given")

    assert after["hash"].endswith(b"given")


async def test_a_key_that_becomes_an_input_keeps_its_value() -> None:
    line = Line()
    await line.sync(spec(password=GENERATED))

    assert await line.sync(spec(password=Input())) == {"password": b"made-1"}


# After a rollback the current version may lack keys that the newest has

MORE: Mapping[str, Source] = {
    "a": GENERATED,
    "b": GENERATED,
    "token": Input(),
    "user": Literal("orders"),
}


async def rolled_back() -> Line:
    """Make a line whose version 1 lacks all but the first of these keys, and is current."""
    line = Line()
    await line.sync(spec(a=GENERATED))
    await line.put(spec(**MORE), token=b"given")
    line.stages = line.stages.promote(1)
    return line


async def test_a_key_that_the_current_version_lacks_makes_no_version_of_its_own() -> None:
    assert await (await rolled_back()).sync(spec(**MORE)) is None


@pytest.mark.parametrize("what", ["change", "put", "rotation"])
async def test_the_next_version_takes_what_is_lacking_from_the_newest(what: str) -> None:
    line = await rolled_back()
    newest = line.payloads[2]
    assert newest.keys() == MORE.keys()

    match what:
        case "change":
            after = await line.sync(spec(**MORE, c=Literal("new")))
            assert after == {**newest, "a": b"made-1", "c": b"new"}
        case "put":
            after = await line.put(spec(**MORE), a=b"put")
            assert after == {**newest, "a": b"put"}
        case _:
            after = await line.rotate(spec(**MORE), "a")
            assert after == {**newest, "a": b"made-3"}
    assert line.versions[-1].origins.keys() == (after or {}).keys()


async def test_what_is_made_from_a_value_is_made_anew_where_it_is_lacking() -> None:
    line, longer = Line(), Generate("count", {"n": 2})
    await line.sync(spec(password=GENERATED))
    await line.sync(spec(password=longer, hash=Generate("count", {"of": "password"})))
    line.stages = line.stages.promote(1)
    wanted = spec(password=longer, hash=Generate("count", {"of": "password"}), c=Literal("new"))

    after = await line.sync(wanted)

    assert after == {"password": b"made-1", "hash": b"made-4made-1", "c": b"new"}


async def test_an_entry_of_several_keys_is_taken_as_a_whole() -> None:
    line, pair = Line(), DataKey("key", Generate("pair", {}), ("key", "key.pub"))
    await line.sync(spec(key=GENERATED))
    await line.sync(ManagedSecretSpec((pair,)))
    line.stages = line.stages.promote(1)

    after = await line.sync(ManagedSecretSpec((pair, DataKey("c", Literal("new"), ("c",)))))

    assert after == {**line.payloads[2], "c": b"new"}


async def test_what_is_lacking_is_made_anew_where_the_newest_version_does_not_open() -> None:
    line = await rolled_back()
    line.unreadable = {2}
    made = {key: source for key, source in MORE.items() if not isinstance(source, Input)}

    with pytest.raises(AwaitingInputError, match="token"):
        await line.sync(spec(**MORE, c=Literal("new")))
    after = await line.sync(spec(**made, c=Literal("new")))

    assert after == {"a": b"made-1", "b": b"made-3", "user": b"orders", "c": b"new"}
