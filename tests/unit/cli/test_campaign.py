"""A campaign without an operator: who is chosen, in which order, and how many at once."""

import threading
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.cli import campaign
from keyturn.cli.campaign import Result, Standing
from keyturn.domain.errors import TargetUnavailableError
from keyturn.domain.label_selector import parse_selector
from keyturn.domain.secret import SecretName

Json = dict[str, Any]

NAMES = [SecretName("shop", f"s{number}") for number in range(20)]


def rotation(**changed: Any) -> Json:
    whole = {
        "id": "1",
        "token": "mine",
        "version": 2,
        "outcome": None,
        "failures": 0,
        "code": None,
        "message": None,
        "retryTime": None,
        "givenUp": None,
    }
    return whole | changed


def journal(*rotations: Json) -> Json:
    return {"namespace": "shop", "name": "db", "items": list(rotations)}


def test_those_are_chosen_whose_labels_are_selected() -> None:
    document = {
        "items": [
            {"namespace": "shop", "name": "a", "labels": {"tier": "db"}},
            {"namespace": "shop", "name": "b", "labels": {}},
        ]
    }

    assert campaign.chosen(document, parse_selector("tier")) == [SecretName("shop", "a")]
    assert len(campaign.chosen(document, parse_selector(""))) == 2


def test_what_cannot_be_read_counts_as_not_rotated() -> None:
    document = {"unread": [{"namespace": "shop", "name": "a", "problem": "no such generator"}]}

    assert campaign.unread(document) == [
        Result(SecretName("shop", "a"), code="Unread", why="no such generator")
    ]


@pytest.mark.parametrize(
    ("known", "standing"),
    [
        (journal(), Standing.WAITS),
        (journal(rotation(token="another", outcome="Succeeded")), Standing.WAITS),
        (journal(rotation(token="another"), rotation(outcome="Succeeded")), Standing.ROTATED),
        (journal(rotation(failures=3)), Standing.UNDER_WAY),
        (journal(rotation(outcome="Abandoned")), Standing.GIVEN_UP),
    ],
)
def test_the_journal_tells_how_a_secret_stands(known: Json, standing: Standing) -> None:
    assert campaign.standing_of(known, "mine") is standing


@given(st.lists(st.sampled_from(Standing), max_size=len(NAMES)))
def test_what_is_under_way_comes_last_and_all_else_stays_in_order(held: list[Standing]) -> None:
    standings = list(zip(NAMES, held, strict=False))
    under_way = [name for name, standing in standings if standing is Standing.UNDER_WAY]
    others = [name for name, standing in standings if standing is not Standing.UNDER_WAY]

    assert campaign.in_order(standings) == others + under_way


@pytest.mark.parametrize(
    ("ended", "version", "why"),
    [
        (rotation(outcome="Succeeded"), 2, ""),
        (rotation(outcome="Abandoned", givenUp="cancelled by jo"), None, "cancelled by jo"),
        (
            rotation(
                failures=1,
                code="TargetRefused",
                message="setPending failed: no",
                retryTime="2030-01-01T00:00:00Z",
            ),
            None,
            "setPending failed: no (TargetRefused); it is tried again by itself at 2030",
        ),
    ],
)
def test_a_result_says_why_it_is_not_rotated(ended: Json, version: int | None, why: str) -> None:
    result = campaign.result_of(NAMES[0], ended)

    assert result.version == version
    assert why in result.why


@pytest.mark.parametrize("at_once", [1, 3, 50])
def test_no_more_than_asked_are_under_way_at_once(at_once: int) -> None:
    lock, under_way, most = threading.Lock(), 0, 0

    def rotate(name: SecretName) -> Result:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        time.sleep(0.01)
        with lock:
            under_way -= 1
        return Result(name, version=2)

    told: list[Result] = []
    results = campaign.run(NAMES, rotate, told.append, at_once=at_once)

    assert most <= at_once
    assert results == told
    assert sorted(result.name for result in results) == sorted(NAMES)


def test_a_failure_is_a_result_and_the_others_go_on() -> None:
    def rotate(name: SecretName) -> Result:
        if name == NAMES[3]:
            raise TargetUnavailableError("it does not answer")
        return Result(name, version=2)

    results = campaign.run(NAMES, rotate, lambda _: None, at_once=4)

    assert [r for r in results if r.version is None] == [
        Result(NAMES[3], code="TargetUnavailable", why="it does not answer")
    ]
    assert len(results) == len(NAMES)


def test_what_nobody_foresaw_ends_the_campaign() -> None:
    def rotate(name: SecretName) -> Result:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        campaign.run(NAMES, rotate, lambda _: None, at_once=1)


def test_after_an_interrupt_no_other_is_begun() -> None:
    begun: list[SecretName] = []
    gate = threading.Semaphore(1)

    def rotate(name: SecretName) -> Result:
        gate.acquire()
        begun.append(name)
        return Result(name, version=2)

    def interrupted(_: Result) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        campaign.run(NAMES, rotate, interrupted, at_once=1)
    gate.release(len(NAMES))
    time.sleep(0.2)

    assert len(begun) <= 2
