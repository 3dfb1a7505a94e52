"""kill -9 at every named place of a rotation at a real authorization server.

What the server issued and the store does not hold yet is lost with the process, as
docs/rotators-oauth2.md says under 'When the reply is lost'; at all other places nothing is.
"""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from engine import places
from engine.harness import Rotated, Victim
from engine.kills import CancelledKillContract, KillContract, Stand
from engine.promises import all_is_in_step, nothing_is_lost
from keyturn.domain.rotation import Strategy
from keyturn.domain.rotation_machine import Phase, Reply
from keyturn.rotators.oauth2.rotator import OAuth2Rotator
from servers.authorization_server import Running, running_server
from servers.certificates import Authority
from servers.oauth2_clients import Client, target_of

ROTATOR = "oauth2"
TRAITS = OAuth2Rotator().traits({"issuer": "https://localhost/shop"})
DATA: list[dict[str, Any]] = [
    {"key": key, "input": {}}
    for key in ("refresh_token", "access_token", "expires_at", "client_id", "client_secret")
]
LOSES = ("after.issue", "before.createPending")
"""The server has issued, and has spent the old token; its reply is in the process only."""


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.create(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def server(authority: Authority) -> Iterator[Running]:
    with running_server(authority.issue("server")) as server:
        yield server


class Grants(Client):
    async def born(self, strategy: Strategy = Strategy.SINGLE_USER) -> Any:
        return self.granted()


@pytest.fixture(scope="class")
def stand(request: pytest.FixtureRequest, server: Running, authority: Authority) -> Stand:
    server.behave()
    target = target_of(server, authority, introspectionEndpoint=server.url("introspection"))
    return Stand.of(request, target, Grants(server), data=DATA)


class TestServerThatRotates(KillContract):
    strategy, traits = Strategy.SINGLE_USER, TRAITS

    @classmethod
    def listed(cls) -> places.Places:
        return [place for place in super().listed() if place not in LOSES]

    def test_these_are_all_places(self, rotated: Rotated) -> None:
        rotated.request()
        rotated.settle()
        rotated.request()

        assert set(rotated.settle()) == {*self.listed(), *LOSES}


class TestCancelled(CancelledKillContract):
    """What it would go back to is spent, so that it goes forward."""

    strategy, traits, cancelled_after = Strategy.SINGLE_USER, TRAITS, "after.createPending"
    outcome, overlap = "Succeeded", None

    @classmethod
    def listed(cls) -> places.Places:
        return [*super().listed(), *places.around("finish")]

    @classmethod
    def replies(cls) -> places.Replies:
        return {Phase.UNDO_PROBE_CURRENT: Reply.NO, Phase.UNDO_SET_CURRENT: Reply.NO}


@pytest.mark.parametrize("place", LOSES)
class TestReplyThatIsLost:
    strategy, traits, overlap = Strategy.SINGLE_USER, TRAITS, None

    @pytest.fixture
    def rotated(self, victim: Victim, stand: Stand) -> Rotated:
        rotated = victim.imported(stand.case, asyncio.run(stand.born()))
        rotated.settle()
        return rotated

    @pytest.mark.parametrize("behaviour", [{"rotates": False}, {"grace": 1}])
    def test_a_server_that_takes_the_old_token_again_loses_nothing(
        self, rotated: Rotated, server: Running, place: str, behaviour: dict[str, Any]
    ) -> None:
        server.behave(**behaviour)
        rotated.request()

        assert rotated.killed_at(place)
        nothing_is_lost(rotated)
        rotated.settle()

        assert all_is_in_step(rotated).stages["Current"] == 2

    @pytest.mark.parametrize("detects", [False, True])
    def test_at_another_a_person_has_to_authorise_anew_and_is_told_so(
        self, rotated: Rotated, server: Running, place: str, detects: bool
    ) -> None:
        server.behave(reuse_detection=detects)
        rotated.request()

        assert rotated.killed_at(place)
        assert rotated.attempt() == "TargetRefused"

        report = rotated.report()
        assert report.stages == {"Current": 1}
        assert report.accepted == {"Current": False}
        assert len(report.rotations) == 1
