import string
from typing import Any

import bcrypt
import pytest

from generating import NOW, make, refusal, unevenness
from keyturn.domain.errors import InvalidParameterError, SourceNotFoundError
from keyturn.generators.htpasswd import HtpasswdGenerator
from keyturn.generators.interface import Materials, Needs

HTPASSWD = HtpasswdGenerator()
CHEAP: dict[str, Any] = {"username": "admin", "cost": 4}
OF_ANOTHER: dict[str, Any] = {**CHEAP, "passwordKey": "password"}
CANARY = b"canary-3Ab-never-shown"


def verifies(line: bytes, password: bytes) -> bool:
    """Check a password as bcrypt's own users do; `2y` is the name that Apache has for `2b`."""
    _, hashed = line.split(b":", 1)
    return bcrypt.checkpw(password, hashed.replace(b"$2y$", b"$2b$", 1))


def test_it_fills_its_own_key_and_one_for_the_password() -> None:
    assert HTPASSWD.outputs("auth", {"username": "admin"}) == {
        "htpasswd": "auth",
        "password": "auth.password",
    }
    assert HTPASSWD.outputs("auth", {"username": "a", "outputs": {"password": "pass"}}) == {
        "htpasswd": "auth",
        "password": "pass",
    }


def test_with_the_password_of_another_key_it_fills_only_its_own() -> None:
    assert HTPASSWD.outputs("auth", OF_ANOTHER) == {"htpasswd": "auth"}
    assert HTPASSWD.needs(OF_ANOTHER) == Needs(siblings=frozenset({"password"}))
    assert HTPASSWD.needs(CHEAP) == Needs()


def test_the_line_verifies_the_generated_password_and_no_other() -> None:
    made = make(HTPASSWD, **CHEAP)

    assert verifies(made["key"], made["key.password"])
    assert not verifies(made["key"], made["key.password"][:-1])


def test_the_line_verifies_the_password_of_another_key() -> None:
    made = make(HTPASSWD, siblings={"password": b"of another key"}, **OF_ANOTHER)

    assert made.keys() == {"key"}
    assert verifies(made["key"], b"of another key")


def test_the_line_is_the_name_and_a_hash_that_apache_and_nginx_read() -> None:
    line = make(HTPASSWD, username="Jürgen", cost=5)["key"].decode()

    name, hashed = line.split(":")
    assert name == "Jürgen"
    assert hashed.startswith("$2y$05$")
    assert len(hashed) == 60


def test_the_cost_is_10_when_it_is_left_out() -> None:
    assert make(HTPASSWD, username="a")["key"].startswith(b"a:$2y$10$")


def test_each_hash_has_a_salt_of_its_own() -> None:
    lines = {make(HTPASSWD, siblings={"password": b"same"}, **OF_ANOTHER)["key"] for _ in range(9)}

    assert len(lines) == 9


@pytest.mark.parametrize("length", [8, 32, 72])
def test_the_password_is_of_letters_and_digits_and_as_long_as_length_says(length: int) -> None:
    password = make(HTPASSWD, length=length, **CHEAP)["key.password"].decode()

    assert len(password) == length
    assert set(password) <= set(string.ascii_letters + string.digits)


def test_the_password_has_32_characters_when_length_is_left_out() -> None:
    assert len(make(HTPASSWD, **CHEAP)["key.password"]) == 32


def test_each_character_of_the_password_is_as_likely_as_the_others() -> None:
    drawn = [c for _ in range(300) for c in make(HTPASSWD, length=72, **CHEAP)["key.password"]]

    assert unevenness(drawn, kinds=62) < 8


@pytest.mark.parametrize("length", [1, 72])
def test_every_byte_that_bcrypt_reads_counts(length: int) -> None:
    password = b"p" * length

    line = make(HTPASSWD, siblings={"password": password}, **OF_ANOTHER)["key"]

    assert verifies(line, password)
    assert not verifies(line, password[:-1] + b"q")


@pytest.mark.parametrize(
    ("password", "message"),
    [
        (b"", "whose value is 0 bytes long; bcrypt takes 1 to 72"),
        (CANARY + b"p" * 51, "whose value is 73 bytes long; bcrypt takes 1 to 72"),
        (CANARY + b"\0", "whose value holds a zero byte, where bcrypt stops to read"),
    ],
    ids=["empty", "too long", "with a zero byte"],
)
def test_a_password_that_bcrypt_would_not_read_whole_is_refused(
    password: bytes, message: str
) -> None:
    with pytest.raises(InvalidParameterError) as caught:
        make(HTPASSWD, siblings={"password": password}, **OF_ANOTHER)

    assert message in str(caught.value)
    assert CANARY.decode() not in str(caught.value)


def test_a_password_that_is_not_there_is_named() -> None:
    with pytest.raises(SourceNotFoundError, match="passwordKey names 'password', which is no key"):
        HTPASSWD.generate("key", OF_ANOTHER, Materials(NOW))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({}, "username must be a name without ':'; write for example username: admin"),
        ({"username": ""}, "username must be a name without ':'"),
        ({"username": "a:b"}, "username must be a name without ':'"),
        ({"username": "a\nroot"}, "username must be a text of at most 255 printable characters"),
        ({"username": "a" * 256}, "username must be a text of at most 255 printable characters"),
        ({"username": "a", "cost": 3}, "cost must be a whole number from 4 to 16"),
        ({"username": "a", "cost": 17}, "cost must be a whole number from 4 to 16"),
        ({"username": "a", "length": 7}, "length must be a whole number from 8 to 72"),
        ({"username": "a", "length": 73}, "length must be a whole number from 8 to 72"),
        ({"username": "a", "passwordKey": "key"}, "passwordKey names 'key', which is the key of"),
        ({"username": "a", "passwordKey": "a b"}, 'passwordKey is "a b", which is no key'),
        ({"username": "a", "passwordKey": "p", "length": 9}, "passwordKey takes the password of"),
        (
            {"username": "a", "passwordKey": "p", "outputs": {"password": "q"}},
            "passwordKey takes the password of another key; leave length and outputs.password out",
        ),
        ({"username": "a", "outputs": {"password": "key"}}, "outputs.password fills the key 'key'"),
    ],
)
def test_wrong_parameters_are_refused_with_what_to_write(
    parameters: dict[str, Any], message: str
) -> None:
    assert refusal(HTPASSWD, **parameters).startswith(message)
