"""kill -9 at every named place of a rotation on a real PostgreSQL: nothing is lost."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from engine.harness import FORWARD_PLACES, RETIREMENT_PLACES, Case, Harness
from engine.promises import all_is_in_step, each_event_is_told_once, nothing_is_lost
from keyturn.domain.rotation import Strategy
from servers.certificates import Authority
from servers.postgresql import PostgreSQLServer
from servers.postgresql_site import PostgreSQLSite


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgreSQLServer]:
    authority = Authority.create(tmp_path_factory.mktemp("authority"))
    with PostgreSQLServer(authority, authority.issue("server")) as server:
        yield server


def spec(strategy: Strategy, **rotation: Any) -> dict[str, Any]:
    return {
        "data": [
            {"key": "username", "value": "app"},
            {"key": "password", "generate": {"password": {"symbols": 0}}},
        ],
        "rotation": {
            "strategy": strategy.value,
            "rotatorRef": {"kind": "Rotator", "name": "pg"},
            **rotation,
        },
    }


@pytest.fixture(scope="module", params=[Strategy.SINGLE_USER, Strategy.ALTERNATING_USERS])
def harness(
    request: pytest.FixtureRequest,
    server: PostgreSQLServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Harness]:
    site = PostgreSQLSite(server)
    case = Case(
        type="postgresql",
        target=site.target(),
        strategy=request.param.value,
        spec=spec(request.param, overlap="0s"),
        born=asyncio.run(site.born(request.param)),
        keys={"username": "username", "password": "password"},
    )
    with Harness.started(tmp_path_factory.mktemp("engine"), case) as harness:
        harness.settle()
        yield harness


@pytest.mark.parametrize("place", [*FORWARD_PLACES, *RETIREMENT_PLACES])
def test_a_kill_at_any_place_loses_nothing(harness: Harness, place: str) -> None:
    harness.request()

    assert harness.killed_at(place)
    nothing_is_lost(harness)
    harness.settle()

    all_is_in_step(harness)
    each_event_is_told_once(harness)
