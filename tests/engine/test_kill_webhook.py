"""kill -9 at every named place of a rotation by a webhook over TLS: nothing is lost."""

from collections.abc import Iterator

import pytest

from engine.harness import Rotated
from engine.kills import CancelledKillContract, FirstKillContract, KillContract, Stand
from keyturn.domain.rotation import Strategy
from keyturn.rotators.webhook.rotator import WebhookRotator
from listening import beside
from servers.certificates import Authority
from servers.webhook_endpoint import Endpoint, serving
from servers.webhook_users import KEY, EndpointSite, target_of

ROTATOR = "webhook"
TRAITS = WebhookRotator().traits({"url": "https://localhost/"})
COEXISTS = WebhookRotator().traits({"url": "https://localhost/", "coexists": True})
ISSUES = WebhookRotator().traits({"url": "https://localhost/", "coexists": True, "issues": True})


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.create(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def endpoint(authority: Authority) -> Iterator[Endpoint]:
    """An endpoint that a thread serves, while the tests wait for the process."""
    endpoint = Endpoint([KEY])
    with beside(serving(endpoint, authority), "webhook endpoint"):
        yield endpoint
    assert endpoint.faults == []


@pytest.fixture(scope="class")
def stand(request: pytest.FixtureRequest, endpoint: Endpoint, authority: Authority) -> Stand:
    traits = request.cls.traits
    endpoint.coexists = traits.coexists
    target = target_of(endpoint, authority, coexists=traits.coexists, issues=traits.issues)
    return Stand.of(request, target, EndpointSite(endpoint))


class TestSingleUser(KillContract):
    strategy, traits = Strategy.SINGLE_USER, TRAITS


class TestWhereTwoStandSideBySide(KillContract):
    strategy, traits, overlap = Strategy.SINGLE_USER, COEXISTS, None


class TestWhereTheEndpointIssues(KillContract):
    strategy, traits = Strategy.SINGLE_USER, ISSUES

    @pytest.fixture(autouse=True)
    def each_value_is_known(self, rotated: Rotated, endpoint: Endpoint) -> Iterator[None]:
        yield
        assert len(endpoint.users[rotated.case.username]) == 1


class TestFirst(FirstKillContract):
    strategy, traits = Strategy.SINGLE_USER, TRAITS


class TestCancelled(CancelledKillContract):
    strategy, traits = Strategy.SINGLE_USER, COEXISTS
