from typing import Any

import pytest

from keyturn.domain.errors import InvalidSpecError
from keyturn.domain.managed_secret import ManagedSecret
from keyturn.domain.payload import Payload, SecretValue
from keyturn.domain.rotation import Strategy
from keyturn.kube.resources import parse
from keyturn.rotators.interface import Traits
from keyturn.services.rotation.roles import Roles, regenerated, roles_of, text_of, turn

PASSWORD: dict[str, Any] = {"password": {}}


def traits(**fields: Any) -> Traits:
    given: dict[str, Any] = {
        "strategies": frozenset({Strategy.SINGLE_USER}),
        "values": {"username": "username", "password": "password", "host": "host"},
        "required": frozenset({"username", "password"}),
        "rotated": frozenset({"password"}),
        "has_lock": True,
        **fields,
    }
    return Traits(**given)


def resource(data: dict[str, Any], **rotation: Any) -> ManagedSecret:
    entries = [{"key": key, **source} for key, source in data.items()]
    asked = {
        "rotatorRef": {"kind": "Rotator", "name": "db"},
        "strategy": "SingleUser",
        **rotation,
    }
    metadata = {"name": "db", "namespace": "shop", "uid": "u", "generation": 1}
    body = {"metadata": metadata, "spec": {"data": entries, "rotation": asked}}
    return parse(body, outputs_of=lambda _, key, __: {"x": key})


def matched(found: ManagedSecret, of: Traits | None = None) -> Roles:
    assert found.spec.rotation is not None
    return roles_of(found, found.spec.rotation, of or traits())


USUAL = {"username": {"value": "app"}, "password": {"generate": PASSWORD}}


def test_the_usual_names_need_no_map() -> None:
    roles = matched(resource({**USUAL, "other": {"value": "x"}}))

    assert roles.keys == {"username": "username", "password": "password"}
    assert roles.rotated == {"password"}
    assert roles.held == {"password", "username"}
    assert roles.username == "username"


def test_other_names_are_mapped() -> None:
    data = {"user": {"value": "app"}, "pw": {"generate": PASSWORD}, "password": {"value": "x"}}

    roles = matched(resource(data, keys={"username": "user", "password": "pw"}))

    assert roles.keys == {"username": "user", "password": "pw"}
    assert roles.held == {"pw", "user"}


@pytest.mark.parametrize(
    ("data", "asked", "of", "message"),
    [
        (USUAL, {"strategy": "AlternatingUsers"}, {}, "strategy must be SingleUser"),
        (USUAL, {"keys": {"user": "username"}}, {}, "it has: host, password, username"),
        ({"password": {"generate": PASSWORD}}, {}, {}, "no key username"),
        (
            {**USUAL, "password": {"value": "x"}},
            {},
            {},
            "its source must be a generator",
        ),
    ],
)
def test_what_does_not_fit_is_told(
    data: dict[str, Any], asked: dict[str, Any], of: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidSpecError, match=message):
        matched(resource(data, **asked), traits(**of))


def test_a_person_may_put_what_the_target_issues_and_nothing_else_that_is_held() -> None:
    roles = matched(resource({**USUAL, "password": {"input": {}}}), traits(issues=True))

    assert roles.refused_to_people == {"username"}
    assert matched(resource(USUAL), traits()).refused_to_people == {"username", "password"}


def test_what_the_target_issues_needs_no_generator() -> None:
    roles = matched(resource({**USUAL, "password": {"input": {}}}), traits(issues=True))

    assert roles.rotated == {"password"}


def test_without_a_target_all_that_is_generated_is_new() -> None:
    found = resource({**USUAL, "token": {"generate": PASSWORD}})

    assert regenerated(found.spec).rotated == {"password", "token"}
    assert regenerated(found.spec).held == frozenset()


def test_a_credential_is_shown_by_the_rotators_names() -> None:
    roles = Roles({"username": "user", "password": "pw", "host": "host"})
    payload = Payload({"user": SecretValue(b"app"), "pw": SecretValue(b"x"), "z": SecretValue(b"")})

    shown = roles.credential(3, payload)

    assert shown.version == 3
    assert shown.values.keys() == {"username", "password"}


@pytest.mark.parametrize(
    ("username", "expected"), [("app", "app_clone"), ("app_clone", "app"), ("x_clone", "app")]
)
def test_two_users_take_turns(username: str, expected: str) -> None:
    assert turn(username, "app", traits()) == expected


def test_the_limit_of_a_name_counts_in_bytes() -> None:
    limited = traits(username_limit=10)

    assert turn("äpp", "äpp", limited) == "äpp_clone"
    with pytest.raises(InvalidSpecError, match="10 bytes"):
        turn("äppl", "äppl", limited)


@pytest.mark.parametrize("value", [b"", b"\xff"])
def test_a_user_name_is_text(value: bytes) -> None:
    assert text_of(SecretValue("ä".encode())) == "ä"
    with pytest.raises(InvalidSpecError):
        text_of(SecretValue(value))
