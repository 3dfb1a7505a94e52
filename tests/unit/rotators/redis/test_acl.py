"""Reading the rules of a Redis user, and writing them for another."""

from typing import Any

import pytest

from keyturn.domain.errors import TargetRefusedError
from keyturn.rotators.redis.acl import are_same, digest, modifiers_of, passwords_of, read_user

HASH = b"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


def reply(**changed: Any) -> list[Any]:
    fields: dict[str, Any] = {
        "flags": [b"on", b"sanitize-payload"],
        "passwords": [HASH],
        "commands": b"-@all +get +config|get",
        "keys": b"~app:* %R~ro:*",
        "channels": b"&orders",
        "selectors": [[b"commands", b"-@all +set", b"keys", b"%W~w:*", b"channels", b""]],
        **changed,
    }
    told = {name: value for name, value in fields.items() if value is not None}
    return [part for name, value in told.items() for part in (name.encode(), value)]


def test_a_user_is_read_and_written_in_one_order() -> None:
    user = read_user(reply())

    assert user.passwords == {HASH.decode()}
    assert not user.open
    assert modifiers_of(user.rules) == [
        "on",
        "sanitize-payload",
        "-@all",
        "resetkeys",
        "resetchannels",
        "clearselectors",
        *("-@all", "+get", "+config|get", "~app:*", "%R~ro:*", "&orders"),
        "(-@all +set %W~w:*)",
    ]


@pytest.mark.parametrize(
    "other",
    [
        b"+@all -@admin -config +config|get +config|resetstat -sort -keys -restore",
        b"+@all -@admin -restore -keys -config +config|resetstat +config|get -sort",
    ],
)
def test_the_order_of_a_growing_table_makes_no_difference(other: bytes) -> None:
    listed = b"+@all -@admin -restore -keys -config +config|get +config|resetstat -sort"
    one = read_user(reply(commands=listed))

    assert are_same(one.rules, read_user(reply(commands=other)).rules)


@pytest.mark.parametrize(
    ("listed", "other"),
    [
        (b"+@all -config +config|get", b"+@all +config|get -config"),
        (b"+@all -config +config|get", b"-config +config|get +@all"),
        (b"+@all -config +config|get", b"+@all -config"),
        (b"+config|get -config|get", b"-config|get +config|get"),
    ],
)
def test_the_order_that_matters_does(listed: bytes, other: bytes) -> None:
    one = read_user(reply(commands=listed))

    assert not are_same(one.rules, read_user(reply(commands=other)).rules)


def test_no_modifier_touches_a_password() -> None:
    written = modifiers_of(read_user(reply(flags=[b"off", b"nopass"])).rules)

    assert not {"reset", "resetpass", "nopass"} & set(written)
    assert not any(modifier.startswith(("#", "!", "<", ">")) for modifier in written)


def test_the_flags_are_read() -> None:
    user = read_user(reply(flags=[b"off", b"nopass", b"skip-sanitize-payload"]))

    assert user.open
    assert modifiers_of(user.rules)[:2] == ["off", "skip-sanitize-payload"]


def test_the_databases_of_valkey_are_reset_and_written() -> None:
    selector = [b"commands", b"-@all", b"keys", b"", b"channels", b"", b"databases", b"db=2"]
    written = modifiers_of(read_user(reply(databases=b"db=1,3", selectors=[selector])).rules)

    assert written.index("resetdbs") < written.index("db=1,3")
    assert written[-1] == "(-@all db=2)"


def test_bytes_that_are_no_text_stay_as_they_are() -> None:
    written = modifiers_of(read_user(reply(keys=b"~\xff*")).rules)

    assert "~\xff*".encode("latin-1") in [
        word.encode("utf-8", "surrogateescape") for word in written
    ]


def test_passwords_go_as_their_hashes() -> None:
    assert passwords_of(digest(b"test")) == [f"#{HASH.decode()}"]
    assert passwords_of("a", {"c", "b"}) == ["#a", "!b", "!c"]


@pytest.mark.parametrize(
    "told",
    [
        pytest.param(reply(limits=b"10"), id="a field that is new"),
        pytest.param(reply(flags=[b"on", b"readonly"]), id="a flag that is new"),
        pytest.param(reply(keys=[b"app:*"]), id="the form of Redis 6"),
        pytest.param(reply(keys=None), id="no keys"),
        pytest.param(reply(passwords=[b"plain"]), id="a password that is no hash"),
        pytest.param(reply(selectors=[[b"commands", b"-@all"]]), id="half a selector"),
        pytest.param(reply(selectors=[b"x"]), id="a selector of text"),
        pytest.param([b"flags"], id="a name without a value"),
        pytest.param(b"OK", id="a text"),
    ],
)
def test_what_is_not_known_is_refused(told: Any) -> None:
    with pytest.raises(TargetRefusedError, match="does not know"):
        read_user(told)
