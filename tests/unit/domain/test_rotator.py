import fnmatch
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.domain.rotation import RotatorRef
from keyturn.domain.rotator import (
    RotatorSettings,
    allows_namespace,
    allows_username,
    matches,
)


def settings(kind: str = "ClusterRotator", **more: tuple[str, ...]) -> RotatorSettings:
    return RotatorSettings(
        ref=RotatorRef(kind, "pg"),
        uid="uid",
        type="postgresql",
        parameters={},
        author_checked=True,
        **more,  # type: ignore[arg-type]
    )


@given(st.text("ab*?", max_size=8), st.text("ab", max_size=8))
def test_a_pattern_matches_as_that_of_a_shell(pattern: str, text: str) -> None:
    assert matches(pattern, text) == fnmatch.fnmatchcase(text, pattern)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("app_*", "App_web"),
        ("[ab]", "a"),
        ("[!a]", "b"),
        ("app.*", "app_"),
        ("a", "a\n"),
        ("app_?", "app_"),
        ("", "a"),
        ("app_*", "my_app_web"),
    ],
)
def test_nothing_but_star_and_question_mark_is_special(pattern: str, text: str) -> None:
    assert not matches(pattern, text)


def test_brackets_stand_for_themselves() -> None:
    assert matches("[a]*", "[a]b")


def test_a_hostile_pattern_takes_no_time() -> None:
    began = time.process_time()

    assert not matches("*a" * 64, "a" * 63 + "b" * 65)

    assert time.process_time() - began < 0.1


def test_no_patterns_allow_no_username() -> None:
    assert not allows_username(settings(), "orders")


def test_one_of_the_patterns_is_enough_for_a_username() -> None:
    found = settings(allowed_usernames=("orders", "app_*"))

    assert allows_username(found, "orders")
    assert allows_username(found, "app_web")
    assert not allows_username(found, "postgres")


def test_a_cluster_rotator_is_for_the_namespaces_that_it_names() -> None:
    found = settings(allowed_namespaces=("shop", "team-*"))

    assert allows_namespace(found, "team-a")
    assert not allows_namespace(found, "shop-2")


def test_a_rotator_is_for_its_own_namespace_which_is_where_it_was_looked_for() -> None:
    assert allows_namespace(settings("Rotator"), "shop")
