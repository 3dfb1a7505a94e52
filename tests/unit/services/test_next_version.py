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
from keyturn.services.next_version import Plan, payload_of, plan, plan_put

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


def fingerprint(purpose: str, *parts: bytes | memoryview) -> str:
    return purpose + "|".join(bytes(part).decode() for part in parts)


def spec(**sources: Source) -> ManagedSecretSpec:
    return ManagedSecretSpec(tuple(DataKey(key, s, (key,)) for key, s in sources.items()))


class Line:
    """A secret's line of versions, without a store."""

    def __init__(self) -> None:
        self.generating = Generating({"count": Counting()}, None, lambda: NOW)
        self.payloads: dict[int, dict[str, bytes]] = {}
        self.versions: list[Version] = []
        self.stages = Stages()

    @property
    def secret(self) -> Secret:
        return Secret(uuid4(), "n", NAME, "r", NOW, self.stages, versions=tuple(self.versions))

    def plan(self, wanted: ManagedSecretSpec, **followed: bytes) -> Plan | None:
        return plan(
            wanted,
            self.secret,
            followed={key: SecretValue(value) for key, value in followed.items()},
            fingerprint=fingerprint,
            siblings_of=self.generating.siblings_of,
        )

    async def sync(self, wanted: ManagedSecretSpec, **followed: bytes) -> dict[str, bytes] | None:
        """Do what a reconcile does; return the new payload, None where none was due."""
        planned = self.plan(wanted, **followed)
        return None if planned is None else await self.commit(planned, wanted)

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
        fields = self.payloads.get(self.stages.current or 0, {})
        current = Payload({key: SecretValue(value) for key, value in fields.items()})
        payload = await payload_of(planned, wanted, NAME, current, self.generating)
        number = len(self.versions) + 1
        made = Version(number, uuid4(), NOW, planned.reason, "local-0", planned.origins)
        self.versions.append(made)
        self.payloads[number] = {key: bytes(value.reveal()) for key, value in payload.items()}
        self.stages = self.stages.promote(number)
        return self.payloads[number]


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
