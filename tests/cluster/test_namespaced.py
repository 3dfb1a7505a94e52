"""Rights in some namespaces only: by Roles there, and next to none in the whole cluster.

The apiserver's audit log is the witness: it notes each request of the operator's account.
"""

from collections.abc import Iterator
from http import HTTPStatus

import pytest

from apiserver import Apiserver, connected
from cluster.auditing import WATCHED, Asked, Audited
from cluster.installing import ROOT
from cluster.operating import Cluster, OperatorProcess, eventually
from cluster.people import OPERATOR, the_operator, wait_for_policies
from cluster.site import LONGER, PASSWORD

CLUSTER_ROTATORS = str(ROOT / "rbac" / "namespaced" / "30-clusterrotators.yaml")


@pytest.fixture(scope="module")
def apiserver(namespaced: Audited) -> Iterator[Apiserver]:
    """The apiserver as the administrator sees it, once all policies are enforced."""
    control_plane = namespaced.control_plane
    with (
        connected(control_plane.kubeconfig) as administrator,
        the_operator(control_plane) as operator,
    ):
        # The account may write in the watched namespaces only, so that is where the cage is asked.
        wait_for_policies(administrator, operator, WATCHED[0])
        yield administrator


@pytest.fixture(scope="module")
def operator(
    namespaced: Audited, apiserver: Apiserver, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OperatorProcess]:
    environment = {"KEYTURN_WATCH_NAMESPACES": ",".join(WATCHED)}
    folder = tmp_path_factory.mktemp("operator")
    with OperatorProcess(namespaced.control_plane, folder, environment=environment) as operator:
        yield operator


@pytest.fixture
def watched(apiserver: Apiserver, operator: OperatorProcess) -> list[Cluster]:
    """The namespaces in which the operator has rights."""
    return [Cluster(apiserver.client, name) for name in WATCHED]


def refused(namespaced: Audited) -> list[Asked]:
    return [each for each in namespaced.audit.of(OPERATOR) if each.status == HTTPStatus.FORBIDDEN]


HOST = {"key": "host", "valueFrom": {"configMapKeyRef": {"name": "app", "key": "host"}}}


@pytest.mark.parametrize("number", range(len(WATCHED)), ids=WATCHED)
def test_it_works_in_each_watched_namespace(
    watched: list[Cluster], namespaced: Audited, number: int
) -> None:
    place = watched[number]
    place.create("configmaps", {"metadata": {"name": "app"}, "data": {"host": "pg"}})
    place.apply("app", {"data": [PASSWORD, HOST]})
    place.wait_ready("app")
    before = place.data("app")

    place.patch("secrets", "app", {"data": {"password": "Zm9yZ2Vk"}})
    eventually(lambda: place.data("app") == before, what="drift is put right")
    place.delete("secrets", "app")
    eventually(lambda: place.data("app") == before, what="it is made again")
    place.apply("app", {"data": [LONGER, HOST]})
    eventually(lambda: place.data("app") != before, what="a change is written")

    assert refused(namespaced) == []


def test_a_deletion_is_recorded_and_taken_back(
    watched: list[Cluster], operator: OperatorProcess, namespaced: Audited
) -> None:
    place = watched[0]
    place.apply("gone", {"data": [PASSWORD]})
    place.wait_ready("gone")
    before = place.data("gone")
    place.delete("managedsecrets", "gone")
    eventually(lambda: place.data("gone") is None, what="the Secret goes too")

    operator.keyturn("restore", "gone", "-n", place.namespace)

    eventually(lambda: place.data("gone") == before, what="the value is back")
    assert refused(namespaced) == []


def test_nothing_is_asked_of_the_whole_cluster(watched: list[Cluster], namespaced: Audited) -> None:
    places = (*WATCHED, "keyturn-system", "keyturn-jobs")
    asked = {
        (each.verb, each.resource, each.name)
        for each in namespaced.audit.of(OPERATOR)
        if each.resource and each.namespace not in places
    }

    assert ("get", "namespaces", "kube-system") in asked
    assert asked <= {
        ("get", "namespaces", "kube-system"),
        ("get", "customresourcedefinitions", "managedsecrets.keyturn.dev"),
        *(("get", kind, name) for kind in POLICY_KINDS for name in POLICIES),
    }


POLICIES = ("keyturn-cage", "keyturn-author", "keyturn-rotators", "keyturn-workloads")
POLICY_KINDS = ("validatingadmissionpolicies", "validatingadmissionpolicybindings")


def test_a_namespace_without_rights_is_left_alone(
    apiserver: Apiserver, watched: list[Cluster], namespaced: Audited
) -> None:
    elsewhere = Cluster(apiserver.client, "default")
    elsewhere.apply("app", {"data": [PASSWORD]})
    watched[1].apply("later", {"data": [PASSWORD]})
    watched[1].wait_ready("later")

    assert elsewhere.data("app") is None
    assert "status" not in (elsewhere.get("managedsecrets", "app") or {})


def test_a_cluster_rotator_needs_a_right_and_says_so(
    watched: list[Cluster], namespaced: Audited, apiserver: Apiserver
) -> None:
    """The last one here: it is refused, and then given more."""
    place, control_plane = watched[0], namespaced.control_plane
    body = {
        "apiVersion": "keyturn.dev/v1alpha1",
        "kind": "ClusterRotator",
        "metadata": {"name": "main"},
        "spec": {"redis": {"host": "redis"}, "allowedNamespaces": ["elsewhere"]},
    }
    made = apiserver.request("POST", "/apis/keyturn.dev/v1alpha1/clusterrotators", body)
    assert made.is_ok, made.message
    rotation = {
        "interval": "30d",
        "rotatorRef": {"kind": "ClusterRotator", "name": "main"},
        "strategy": "SingleUser",
    }
    data = [{"key": "username", "value": "app"}, PASSWORD]

    place.apply("rotated", {"data": data, "rotation": rotation})
    refusal = place.wait_reason("rotated", "Denied")["message"]
    place.apply("plain", {"data": [PASSWORD]})
    place.wait_ready("plain")
    control_plane.kubectl("apply", "--server-side", "-f", CLUSTER_ROTATORS)

    assert "--resource=clusterrotators.keyturn.dev --resource-name=main" in refusal
    # Now it is read, and it is not for this namespace.
    eventually(lambda: "not for the namespace" in place.condition("rotated").get("message", ""))
