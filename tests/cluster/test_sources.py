"""Which Secrets a value is taken from: the operator's own check, against a real apiserver.

The generator here stands for one of another package, whose parameters no policy understands.
"""

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from apiserver import Apiserver, a_managed_secret, core, managed_secrets
from canary import Canary
from cluster.people import a_secret
from keyturn.domain.errors import DeniedError, KeyturnError, SourceNotFoundError
from keyturn.domain.managed_secret import OWN_NAMESPACES, DataKey, Generate, SecretKey
from keyturn.domain.payload import SecretValue
from keyturn.domain.secret import SecretName
from keyturn.generators.interface import Materials, Needs
from keyturn.kube.client import KubeClient
from keyturn.kube.connection import Connection
from keyturn.kube.facts import ClusterFacts
from keyturn.kube.sources import Sources
from keyturn.services.generating import Generating
from keyturn_controlplane.cluster import ControlPlane


class Copier:
    """Copies the key `k` of the Secret that its parameter names."""

    def outputs(self, key: str, parameters: Mapping[str, Any]) -> Mapping[str, str]:
        return {"value": key}

    def needs(self, parameters: Mapping[str, Any]) -> Needs:
        return Needs(secrets=frozenset({parameters["from"]}))

    def generate(
        self, key: str, parameters: Mapping[str, Any], materials: Materials
    ) -> Mapping[str, SecretValue]:
        return {key: materials.secrets[parameters["from"]]["k"]}


@pytest.fixture
async def sources(control_plane: ControlPlane, enforced: None) -> AsyncIterator[Sources]:
    kubeconfig = control_plane.kubeconfig_for_service_account("keyturn-system", "keyturn")
    async with KubeClient(Connection(kubeconfig)) as kube:
        facts = ClusterFacts(kube)
        yield Sources(kube, author_checked=facts.author_checked, own_namespaces=OWN_NAMESPACES)


@pytest.fixture
def closed(apiserver: Apiserver, namespace: str, canary: Canary) -> str:
    """Make a Secret without consent, and a ManagedSecret `thief`; return the Secret's path."""
    body = a_secret("closed", stringData={"k": canary.make().decode()})
    assert apiserver.request("POST", core("secrets", namespace), body).is_ok
    resource = a_managed_secret("thief", targets=[{"name": "thief", "creationPolicy": "None"}])
    assert apiserver.request("POST", managed_secrets(namespace), resource).is_ok
    return core("secrets", namespace, "closed")


async def copied(sources: Sources, namespace: str, name: str) -> SecretValue:
    """Let the generator of another package copy a value."""
    generating = Generating({"copier": Copier()}, sources, lambda: datetime.now(UTC))
    source = Generate("copier", {"from": name, "caSecretRef": {"name": name}})
    made = await generating.generate(
        SecretName(namespace, "thief"), DataKey("copy", source, ("copy",)), source, {}
    )
    return made["copy"]


async def test_a_secret_that_the_policy_saw_is_read(
    sources: Sources, namespace: str, closed: str
) -> None:
    value = await sources.read(SecretName(namespace, "thief"), SecretKey("closed", "k"))

    assert len(value) == 32


async def test_a_secret_that_no_policy_sees_needs_consent(
    apiserver: Apiserver, sources: Sources, namespace: str, closed: str
) -> None:
    with pytest.raises(DeniedError, match=r"keyturn\.dev/allow=thief"):
        await copied(sources, namespace, "closed")

    consent = {"metadata": {"annotations": {"keyturn.dev/allow": "thief"}}}
    assert apiserver.request("PATCH", closed, consent).is_ok
    assert len(await copied(sources, namespace, "closed")) == 32


@pytest.mark.parametrize("way", ["../../{namespace}/secrets/closed", "..%2fclosed", "closed?x=y"])
async def test_no_name_leads_out_of_the_namespace(
    apiserver: Apiserver, sources: Sources, namespace: str, closed: str, way: str
) -> None:
    consent = {"metadata": {"annotations": {"keyturn.dev/allow": "thief"}}}
    assert apiserver.request("PATCH", closed, consent).is_ok

    with pytest.raises(SourceNotFoundError, match="no Secret can have the name"):
        await copied(sources, "default", way.format(namespace=namespace))


@pytest.mark.parametrize(
    ("place", "name"),
    [
        pytest.param("default", "keyturn-default-key", id="the operator's key anywhere"),
        pytest.param("keyturn-system", "other", id="anything in the operator's namespace"),
    ],
)
async def test_the_operators_own_is_no_source(sources: Sources, place: str, name: str) -> None:
    with pytest.raises(DeniedError, match="Keyturn's own"):
        await sources.read(SecretName(place, "thief"), SecretKey(name, "k"))


async def test_a_refusal_says_nothing_of_the_value(
    sources: Sources, namespace: str, closed: str, canary: Canary
) -> None:
    with pytest.raises(KeyturnError) as caught:
        await copied(sources, namespace, "closed")

    assert canary.scan_text(repr(caught.value)) == []
