from datetime import UTC, datetime, timedelta, timezone
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary import Canary
from keyturn.api import schemas
from keyturn.domain.errors import InvalidParameterError
from keyturn.domain.payload import Payload, SecretValue
from keyturn.domain.secret import Projected, Secret, SecretName
from keyturn.domain.stage import Stage, Stages
from keyturn.domain.version import KeyOrigin, Version, VersionReason

NOW = datetime(2030, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def a_version(number: int) -> Version:
    origins = {"user": KeyOrigin("digest"), "password": KeyOrigin("digest")}
    return Version(number, uuid4(), NOW, VersionReason.PUT, "local-1", origins)


def a_secret(**changed: object) -> Secret:
    return Secret(
        **{  # type: ignore[arg-type]
            "id": uuid4(),
            "namespace_uid": "uid",
            "name": SecretName("shop", "db"),
            "resource_uid": "resource",
            "created_at": NOW,
            "stages": Stages({Stage.CURRENT: 2, Stage.PREVIOUS: 1}),
            "versions": (a_version(1), a_version(2)),
            "projected": (Projected("db", "uid", "1", 2, "digest", "digest", keys=("user",)),),
            **changed,
        }
    )


@given(st.dictionaries(st.text(min_size=1, max_size=9), st.binary(max_size=99), min_size=1))
def test_values_cross_the_socket_byte_by_byte(values: dict[str, bytes]) -> None:
    request = schemas.put_request({key: SecretValue(value) for key, value in values.items()})

    with schemas.read_put(schemas.encode(request)) as payload:
        assert {key: bytes(value.reveal()) for key, value in payload.items()} == values


@pytest.mark.parametrize("stage", list(Stage))
@pytest.mark.parametrize("reveal", [True, False])
@pytest.mark.parametrize("version", [None, 7])
def test_what_is_asked_of_get_arrives(version: int | None, stage: Stage, reveal: bool) -> None:
    body = schemas.encode(schemas.get_request(version, stage, reveal_values=reveal))

    assert schemas.read_get(body) == (version, stage, reveal)


def test_nothing_asked_is_the_current_version_without_its_values() -> None:
    assert schemas.read_get(b"") == (None, Stage.CURRENT, False)


@pytest.mark.parametrize("value", ["no base64!", "YQ", 7, None, ["YQ=="], "YQ==\n"])
def test_a_value_that_is_not_base64_is_refused_and_not_shown(value: object) -> None:
    with pytest.raises(InvalidParameterError) as caught:
        schemas.read_put(schemas.encode({"values": {"key": value}}))

    assert caught.value.message == "the value of 'key' is not base64"
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    "body", ['{{"values": {{"key": "{}"', '"{}"', '["{}"]', '{{"values": "{}"}}', '{{"{}": 1}}']
)
def test_a_body_that_is_wrong_is_not_shown(canary: Canary, body: str) -> None:
    value = canary.make().decode()

    with pytest.raises(InvalidParameterError) as caught:
        schemas.read_put(body.format(value).encode())

    assert canary.scan_text(caught.value.message) == []
    assert caught.value.__context__ is None


def test_a_version_is_told_without_its_values() -> None:
    secret = a_secret()

    told = schemas.version_document(secret, secret.version(2))

    assert told == {
        "version": 2,
        "stage": "Current",
        "createdTime": "2030-01-02T03:04:05Z",
        "reason": "Put",
        "keyId": "local-1",
        "keys": ["password", "user"],
    }


def test_a_live_secret_has_no_end() -> None:
    told = schemas.secret_document(a_secret())

    assert (told["state"], told["deletedTime"], told["purgeTime"]) == ("Live", None, None)


def test_a_deleted_secret_tells_until_when_it_is_kept() -> None:
    told = schemas.secret_document(
        a_secret(deleted_at=NOW, purge_after=NOW + timedelta(days=14), stages=Stages())
    )

    assert (told["state"], told["purgeTime"]) == ("Deleted", "2030-01-16T03:04:05Z")


def test_a_description_tells_the_targets_and_what_is_awaited() -> None:
    told = schemas.description_document(a_secret(), ["token"], "")

    assert told["targets"] == [{"name": "db", "version": 2, "owned": True, "keys": ["user"]}]
    assert told["awaiting"] == ["token"]
    assert told["recoveryWindow"] == "14d"


def test_a_secret_without_a_version_has_no_keys() -> None:
    told = schemas.description_document(a_secret(versions=(), stages=Stages()), [], "")

    assert (told["keys"], told["currentVersion"]) == ([], None)


def test_values_are_in_the_document_only_when_there_is_a_payload() -> None:
    secret = a_secret()

    without = schemas.chosen_document(secret, 1, None)
    revealed = schemas.chosen_document(secret, 1, Payload({"user": SecretValue(b"a")}))

    assert "values" not in without
    assert revealed["values"] == {"user": "YQ=="}


def test_times_are_in_utc() -> None:
    berlin = timezone(timedelta(hours=1))

    assert schemas.time_of(datetime(2030, 1, 1, 0, 30, tzinfo=berlin)) == "2029-12-31T23:30:00Z"


def test_an_exported_key_is_zeroed_once_it_is_told() -> None:
    line = SecretValue(b"keyturn-key-v1 ...")

    told = schemas.key_document(line)

    assert told == {"key": "keyturn-key-v1 ..."}
    assert bytes(line.reveal()) == bytes(18)
