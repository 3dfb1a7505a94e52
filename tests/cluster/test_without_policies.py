"""With no policy in the cluster the operator's own checks stand: what an attacker asks is refused.

So it is where a cluster has no ValidatingAdmissionPolicies, where somebody took them away, and for
what was written before they came. Its own control plane, as the policies of the shared one stay.
"""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from apiserver import Apiserver, a_namespace, connected, core
from canary import Canary
from canary_scan import CanaryScan
from cluster.operating import Cluster, OperatorProcess, eventually
from cluster.people import a_secret, rotators, the_operator, wait_for_policies
from keyturn.kube.client import KubeClient
from keyturn.kube.connection import Connection
from keyturn.kube.facts import ClusterFacts
from keyturn_controlplane.binaries import Binaries
from keyturn_controlplane.cluster import ControlPlane

ROOT = Path(__file__).parents[2]
POLICIES = [
    ROOT / "rbac" / f"{name}.yaml"
    for name in ("40-cage-policy", "50-author-policy", "60-rotator-policy", "70-workload-policy")
]

PASSWORD = {"key": "password", "generate": {"password": {}}}


@pytest.fixture(scope="module")
def open_cluster(binaries: Binaries, canary_scan: CanaryScan) -> Iterator[ControlPlane]:
    """A control plane with the roles of Keyturn and without its policies."""
    with ControlPlane(binaries, crds=[ROOT / "crds"]) as control_plane:
        for path in sorted((ROOT / "rbac").glob("*.yaml")):
            if path not in POLICIES:
                control_plane.kubectl("apply", "--server-side", "-f", str(path))
        with canary_scan.watching(control_plane):
            yield control_plane


@pytest.fixture(scope="module")
def apiserver(open_cluster: ControlPlane) -> Iterator[Apiserver]:
    with connected(open_cluster.kubeconfig) as administrator:
        yield administrator


@pytest.fixture(scope="module")
def operator(
    open_cluster: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OperatorProcess]:
    with OperatorProcess(open_cluster, tmp_path_factory.mktemp("operator")) as operator:
        yield operator


@pytest.fixture
def shop(apiserver: Apiserver, operator: OperatorProcess) -> Iterator[Cluster]:
    """A namespace of the cluster without policies, in which the operator works."""
    with a_namespace(apiserver) as name:
        yield Cluster(apiserver.client, name)


@pytest.fixture
def victim(shop: Cluster, canary: Canary) -> dict[str, Any]:
    """A Secret of somebody else, without consent."""
    token = base64.b64encode(canary.make()).decode()
    return shop.create("secrets", a_secret("victim", data={"token": token}))


def others(shop: Cluster) -> str:
    """Return all that stands in the namespace but the victim, as text."""
    secrets = [s for s in shop.all("secrets") if s["metadata"]["name"] != "victim"]
    return json.dumps([secrets, shop.all("managedsecrets"), shop.all("events")])


READ = {"valueFrom": {"secretKeyRef": {"name": "victim", "key": "token"}}}
SIGN = {"generate": {"tls": {"commonName": "x", "caSecretRef": {"name": "victim"}}}}
TOKEN = {"key": "token", "generate": {"hex": {}}}

ATTACKS: dict[str, tuple[dict[str, Any], str]] = {
    "a value read from it": ({"data": [{"key": "copy", **READ}]}, "Denied"),
    "a value read by a merge into it": (
        {
            "data": [{"key": "copy", **READ}],
            "targets": [{"name": "victim", "creationPolicy": "Merge"}],
        },
        "Denied",
    ),
    "a certificate signed by it": ({"data": [{"key": "pair", **SIGN}]}, "Denied"),
    "an import": (
        {"data": [TOKEN], "adoptionPolicy": "Import", "targets": [{"name": "victim"}]},
        "TargetOwnedByOther",
    ),
    "an import to show it elsewhere": (
        {
            "data": [TOKEN],
            "adoptionPolicy": "Import",
            "targets": [{"name": "victim"}, {"name": "mine"}],
        },
        "TargetOwnedByOther",
    ),
    "an import by a merge": (
        {
            "data": [TOKEN],
            "adoptionPolicy": "Import",
            "targets": [{"name": "victim", "creationPolicy": "Merge"}],
        },
        "TargetOwnedByOther",
    ),
    "an import of what is left": (
        {
            "data": [TOKEN],
            "adoptionPolicy": "Import",
            "targets": [{"name": "victim", "creationPolicy": "Orphan"}],
        },
        "TargetOwnedByOther",
    ),
    "a takeover": ({"data": [TOKEN], "targets": [{"name": "victim"}]}, "TargetOwnedByOther"),
    "a key beside its own": (
        {
            "data": [PASSWORD],
            "targets": [{"name": "victim", "creationPolicy": "CreateOrMerge"}],
        },
        "TargetOwnedByOther",
    ),
    "a template that names a key of it": (
        {
            "data": [TOKEN],
            "targets": [{"name": "mine", "template": {"data": {"a": "{{ victim.token }}"}}}],
        },
        "InvalidTemplate",
    ),
}


@pytest.mark.parametrize(("spec", "reason"), ATTACKS.values(), ids=ATTACKS.keys())
def test_refuses(
    shop: Cluster, victim: dict[str, Any], canary: Canary, spec: dict[str, Any], reason: str
) -> None:
    shop.apply("thief", spec)

    shop.wait_reason("thief", reason)

    assert shop.get("secrets", "victim") == victim
    assert canary.scan_text(others(shop)) == []


@pytest.mark.parametrize("place", ["kube-system", "kube-public", "keyturn-system", "keyturn-jobs"])
def test_refuses_a_namespace_of_the_cluster(
    shop: Cluster, apiserver: Apiserver, place: str
) -> None:
    there = Cluster(apiserver.client, place)
    there.apply("thief", {"data": [PASSWORD]})

    condition = there.wait_reason("thief", "InvalidSpec")

    assert "use another namespace" in condition["message"]
    assert there.get("secrets", "thief") is None


@pytest.mark.parametrize(
    ("native_type", "annotations"),
    [
        pytest.param(
            "kubernetes.io/service-account-token",
            {"kubernetes.io/service-account.name": "default"},
            id="a login of a ServiceAccount",
        ),
        pytest.param("bootstrap.kubernetes.io/token", {}, id="a login of a node"),
        pytest.param("helm.sh/release.v1", {}, id="a record of Helm"),
    ],
)
def test_consent_opens_no_secret_that_gives_rights(
    shop: Cluster, native_type: str, annotations: dict[str, str]
) -> None:
    consent = {**annotations, "keyturn.dev/allow": "thief"}
    shop.create("secrets", a_secret("victim", type=native_type, annotations=consent))
    targets = [{"name": "victim", "creationPolicy": "Merge"}]

    shop.apply("thief", {"data": [PASSWORD], "targets": targets})

    condition = shop.wait_reason("thief", "TargetOwnedByOther")
    assert "login to the cluster" in condition["message"]
    assert "password" not in (shop.data("victim") or {})


def test_consent_opens_a_source(shop: Cluster, victim: dict[str, Any]) -> None:
    shop.apply("friend", {"data": [{"key": "copy", **READ}]})
    shop.wait_reason("friend", "Denied")

    shop.patch("secrets", "victim", {"metadata": {"annotations": {"keyturn.dev/allow": "friend"}}})

    shop.wait_ready("friend")
    assert (shop.data("friend") or {})["copy"] == victim["data"]["token"]


def test_what_a_lost_store_left_is_not_for_everybody_who_names_it(
    shop: Cluster, canary: Canary
) -> None:
    labels = {
        "keyturn.dev/managed": "true",
        "keyturn.dev/secret-id": "6f0f33f5-5a0b-4c63-8a3c-2b8b1f1f0c11",
    }
    token = base64.b64encode(canary.make()).decode()
    left = shop.create("secrets", a_secret("victim", labels=labels, data={"token": token}))

    shop.apply("thief", {"data": [TOKEN], "targets": [{"name": "victim"}, {"name": "mine"}]})

    shop.wait_reason("thief", "TargetOwnedByOther")
    assert shop.get("secrets", "victim") == left
    assert canary.scan_text(others(shop)) == []


def test_values_come_back_only_to_the_targets_that_they_had(shop: Cluster, canary: Canary) -> None:
    shop.apply("db", {"data": [PASSWORD]})
    shop.wait_ready("db")
    before = shop.data("db")
    assert before is not None
    canary.register(base64.b64decode(before["password"]))
    shop.delete("managedsecrets", "db")
    eventually(lambda: shop.data("db") is None, what="the Secret went with its resource")

    shop.apply("db", {"data": [PASSWORD], "targets": [{"name": "mine"}]})
    condition = shop.wait_reason("db", "Denied")
    shown = others(shop)
    shop.apply("db", {"data": [PASSWORD]})
    shop.wait_ready("db")

    assert "write spec.targets as it was" in condition["message"]
    assert canary.scan_text(shown) == []
    assert shop.data("db") == before


@contextmanager
def applied(control_plane: ControlPlane, manifests: str) -> Iterator[None]:
    """Have policies in the cluster for a while."""
    control_plane.kubectl("apply", "--server-side", "-f", "-", input=manifests)
    try:
        yield
    finally:
        control_plane.kubectl("delete", "-f", "-", input=manifests)


def wait_for_a_later_second(
    apiserver: Apiserver, shop: Cluster, policy: str = "keyturn-author"
) -> None:
    """Wait until what is made now is younger than a policy: the apiserver counts seconds."""
    path = f"/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings/{policy}"
    bound: str = apiserver.request("GET", path).body["metadata"]["creationTimestamp"]
    clock = {"metadata": {"name": "clock"}}

    def is_later() -> bool:
        made = apiserver.request("POST", core("configmaps", shop.namespace), clock, dryRun="All")
        return str(made.body["metadata"]["creationTimestamp"]) > bound

    eventually(is_later)


def test_what_was_written_before_the_policies_came_stays_refused(
    open_cluster: ControlPlane, apiserver: Apiserver, shop: Cluster, victim: dict[str, Any]
) -> None:
    spec = {"data": [{"key": "copy", **READ}]}
    shop.apply("thief", spec)
    shop.wait_reason("thief", "Denied")

    with applied(open_cluster, "\n---\n".join(path.read_text() for path in POLICIES)):
        with the_operator(open_cluster) as identity:
            wait_for_policies(apiserver, identity)
        wait_for_a_later_second(apiserver, shop)
        shop.patch("secrets", "victim", {"metadata": {"labels": {"looked-at": "again"}}})
        shop.apply("author", spec)
        shop.wait_ready("author")

        assert shop.condition("thief")["reason"] == "Denied"
        assert shop.data("thief") is None


def a_rotator(shop: Cluster, apiserver: Apiserver, name: str) -> dict[str, Any]:
    body = {
        "apiVersion": "keyturn.dev/v1alpha1",
        "kind": "Rotator",
        "metadata": {"name": name},
        "spec": {"redis": {"host": "redis"}},
    }
    made = apiserver.request("POST", rotators(shop.namespace), body)
    assert made.is_ok, made.message
    return made.body


async def test_the_author_of_a_rotator_was_checked_only_if_it_is_younger_than_the_policy(
    open_cluster: ControlPlane, apiserver: Apiserver, shop: Cluster
) -> None:
    kubeconfig = open_cluster.kubeconfig_for_service_account("keyturn-system", "keyturn")
    async with KubeClient(Connection(kubeconfig)) as kube:
        facts = ClusterFacts(kube)
        older = a_rotator(shop, apiserver, "older")
        assert not await facts.rotator_author_checked(older)

        with applied(open_cluster, "\n---\n".join(path.read_text() for path in POLICIES)):
            wait_for_a_later_second(apiserver, shop, "keyturn-rotators")
            younger = a_rotator(shop, apiserver, "younger")

            assert await facts.rotator_author_checked(younger)
            assert not await facts.rotator_author_checked(older)


@pytest.mark.parametrize(
    ("written", "instead"),
    [
        pytest.param("validationActions: [Deny]", "validationActions: [Audit]", id="only notes"),
        pytest.param(
            "validationActions: [Deny]",
            "validationActions: [Deny]\n  matchResources:\n    namespaceSelector:\n"
            "      matchLabels: {team: other}",
            id="looks at some namespaces",
        ),
        pytest.param("failurePolicy: Fail", "failurePolicy: Ignore", id="lets errors pass"),
    ],
)
def test_a_policy_that_does_not_refuse_opens_nothing(
    open_cluster: ControlPlane,
    apiserver: Apiserver,
    shop: Cluster,
    victim: dict[str, Any],
    written: str,
    instead: str,
) -> None:
    author = POLICIES[1].read_text()
    assert written in author

    with applied(open_cluster, author.replace(written, instead)):
        wait_for_a_later_second(apiserver, shop)
        shop.apply("thief", {"data": [{"key": "copy", **READ}]})

        shop.wait_reason("thief", "Denied")
