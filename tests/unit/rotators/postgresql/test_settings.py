"""What an administrator may write, and what libpq is told because of it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import pq
from psycopg.conninfo import make_conninfo

from keyturn.domain.errors import InvalidParameterError
from keyturn.rotators.interface import Target
from keyturn.rotators.postgresql.connecting import Link
from keyturn.rotators.postgresql.logins import Login
from keyturn.rotators.postgresql.rotator import PostgreSQLRotator
from keyturn.rotators.postgresql.settings import Dialect, Settings

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)


def test_what_is_left_out_has_a_default() -> None:
    read = Settings.read({"host": "pg.shop.svc"})

    assert read == Settings("pg.shop.svc", 5432, "postgres", "postgres", Dialect.POSTGRESQL, True)


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({}, "host"),
        ({"host": "a,b"}, "host"),
        ({"host": "/var/run/postgresql"}, "host"),
        ({"host": "@abstract"}, "host"),
        ({"host": "a b"}, "host"),
        ({"host": "host=x"}, "host"),
        ({"host": 7}, "host"),
        ({"host": "pg", "port": 0}, "port"),
        ({"host": "pg", "port": "5432"}, "port"),
        ({"host": "pg", "database": "a\nb"}, "database"),
        ({"host": "pg", "lockDatabase": "x" * 64}, "lockDatabase"),
        ({"host": "pg", "dialect": "Greenplum"}, "dialect"),
        ({"host": "pg", "tls": {"mode": "prefer"}}, "tls.mode"),
        ({"host": "pg", "tls": {"verify": False}}, "tls.verify"),
        ({"host": "pg", "tls": "off"}, "tls"),
        ({"host": "pg", "sslmode": "disable"}, "sslmode"),
        ({"host": "pg", "options": "-c x=y"}, "options"),
        ({"host": "pg", "dialect": "Redshift", "tls": {"mode": "disable"}}, "tls.mode"),
    ],
)
def test_what_cannot_work_is_refused_by_its_name(parameters: Any, named: str) -> None:
    with pytest.raises(InvalidParameterError, match=f"^{named} .*write|^{named} must"):
        PostgreSQLRotator().check(parameters)


def test_the_dialect_has_no_lock() -> None:
    rotator = PostgreSQLRotator()

    assert rotator.traits({"host": "pg"}).has_lock
    assert not rotator.traits({"host": "pg", "dialect": "Redshift"}).has_lock


@given(username=TEXT, password=TEXT, database=TEXT)
def test_no_text_becomes_another_keyword(username: str, password: str, database: str) -> None:
    link = Link(Settings.read({"host": "pg.shop.svc"}), Target({}))
    login = Login(username, password)
    keywords = link.keywords(login, database, "/ca", as_user=False)

    parsed = {
        option.keyword.decode(): (option.val or b"").decode()
        for option in pq.Conninfo.parse(make_conninfo(**keywords).encode())
    }

    assert {name: parsed[name] for name in keywords} == keywords
    assert not any(parsed[name] for name in parsed.keys() - keywords.keys())
    assert (
        password not in repr(login) or password in repr(username) or password in "Login(username="
    )
