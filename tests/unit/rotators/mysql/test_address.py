"""The parameters of the MySQL rotator, and the names that it takes."""

from typing import Any

import pytest

from keyturn.domain.errors import InvalidParameterError, TargetRefusedError
from keyturn.domain.payload import SecretValue
from keyturn.rotators.interface import Credential
from keyturn.rotators.mysql.address import Address
from keyturn.rotators.mysql.rotator import MySQLRotator
from keyturn.rotators.mysql.session import lock_name, login_of


def test_what_is_left_out_has_a_default() -> None:
    assert Address.read({"host": "db.shop.svc"}) == Address(
        "db.shop.svc", 3306, "%", "", has_tls=True
    )


def test_all_of_it_may_be_written() -> None:
    written = {
        "host": "10.0.0.5",
        "port": 3307,
        "dialect": "MySQL",
        "userHost": "10.0.%",
        "tls": {"mode": "disable"},
    }

    assert Address.read(written) == Address("10.0.0.5", 3307, "10.0.%", "MySQL", has_tls=False)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"host": None}, "host"),
        ({"host": ""}, "host"),
        ({"host": "a b"}, "host"),
        ({"host": "db;charset=x"}, "host"),
        ({"host": "/run/mysqld/mysqld.sock"}, "host"),
        ({"port": 0}, "port"),
        ({"port": "3306"}, "port"),
        ({"port": 65536}, "port"),
        ({"dialect": "Percona"}, "dialect"),
        ({"userHost": ""}, "userHost"),
        ({"userHost": "%' OR '1"}, "userHost"),
        ({"tls": {"mode": "prefer"}}, "tls.mode"),
        ({"tls": {"ca": "x"}}, "tls.ca"),
        ({"tls": "off"}, "tls"),
        ({"unixSocket": "/run/x"}, "unixSocket"),
        ({"database": "shop"}, "database"),
    ],
)
def test_what_is_wrong_is_named(wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidParameterError) as refused:
        MySQLRotator().check({"host": "db", **wrong})

    assert refused.value.message.startswith(f"{named} ")


@pytest.mark.parametrize(("dialect", "limit"), [(None, 32), ("MySQL", 32), ("MariaDB", 80)])
def test_the_length_of_a_user_name_is_that_of_the_dialect(dialect: str | None, limit: int) -> None:
    traits = MySQLRotator().traits({"host": "db", "dialect": dialect})

    assert traits.username_limit == limit


@pytest.mark.parametrize("name", ["a ", "'a'", "'", "", "a\n"])
def test_a_name_that_the_server_takes_for_another_one_is_refused(name: str) -> None:
    values = {"username": SecretValue(name.encode()), "password": SecretValue(b"x")}

    with pytest.raises(TargetRefusedError):
        login_of(Credential(1, values))


def test_each_account_has_a_lock_of_its_own() -> None:
    names = {lock_name("a", "%"), lock_name("A", "%"), lock_name("a", "10.%"), lock_name("a%", "")}

    assert len(names) == 4
    assert all(len(name) <= 64 for name in names)
    assert lock_name("a", "LOCALHOST") == lock_name("a", "localhost")
