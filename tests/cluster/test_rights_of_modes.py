"""What the operator must not do, in each mode: asked of the authorizer, and really tried.

The requests are sent with a token of the operator's ServiceAccount, as somebody would who had taken
over its pod.
"""

import base64
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from apiserver import APPLY_PATCH, Apiserver, connected, core, managed_secrets
from canary import Canary
from cluster.auditing import WATCHED, Audited
from cluster.people import a_secret, an_account, the_operator, wait_for_policies
from cluster.test_rights import ADMISSION, AT_HOME, EVERYWHERE, REFUSED, REQUESTS, rows
from keyturn_controlplane.cluster import ControlPlane

SECRET_ID = "6f0f33f5-5a0b-4c63-8a3c-2b8b1f1f0c11"
MARKS = {"keyturn.dev/managed": "true", "keyturn.dev/secret-id": SECRET_ID}

READS = rows("", "secrets", "get list watch")
AT_HOME_ALONE = AT_HOME - EVERYWHERE | rows("", "secrets", "create")
# The one place where it reads Secrets in each mode: those of its Jobs, and there are no others.
FOR_JOBS_ALONE = {
    *rows("batch", "jobs", "get list watch create delete"),
    *rows("", "secrets", "get list create delete"),
}
CAGED = EVERYWHERE - READS
OF_THE_CLUSTER = {
    row for row in EVERYWHERE if row[0] in (ADMISSION, "apiextensions.k8s.io")
} | rows("", "namespaces", "get", "kube-system")
IN_A_NAMESPACE = EVERYWHERE - {row for row in EVERYWHERE if row[1] == "clusterrotators"}


class Mode(NamedTuple):
    """A way to run: who asks, as what, and a namespace in which the operator is at work."""

    name: str
    control_plane: ControlPlane
    administrator: Apiserver
    operator: Apiserver
    place: str


@pytest.fixture(scope="module", params=["standard", "caged", "namespaced"])
def mode(request: pytest.FixtureRequest) -> Iterator[Mode]:
    if request.param == "standard":
        control_plane: ControlPlane = request.getfixturevalue("control_plane")
    else:
        audited: Audited = request.getfixturevalue(request.param)
        control_plane = audited.control_plane
    place = WATCHED[0] if request.param == "namespaced" else "default"
    with (
        connected(control_plane.kubeconfig) as administrator,
        the_operator(control_plane) as operator,
    ):
        wait_for_policies(administrator, operator, place)
        yield Mode(request.param, control_plane, administrator, operator, place)


@pytest.fixture(scope="module")
def nobody(mode: Mode) -> Iterator[Apiserver]:
    """A ServiceAccount without any right of its own."""
    with an_account(mode.control_plane, "kube-public", "default") as account:
        yield account


@pytest.fixture
def theirs(mode: Mode, canary: Canary) -> Iterator[str]:
    """A Secret of somebody else where the operator works; its path."""
    data = {"token": base64.b64encode(canary.make()).decode()}
    path = core("secrets", mode.place)
    made = mode.administrator.request("POST", path, a_secret("theirs", data=data))
    assert made.is_ok, made.message
    yield f"{path}/theirs"
    mode.administrator.request("DELETE", f"{path}/theirs")


def test_it_has_exactly_these_rights(mode: Mode, nobody: Apiserver) -> None:
    places = {"default", "kube-system", "keyturn-system", "keyturn-jobs", mode.place}
    found = {place: mode.operator.rights(place) - nobody.rights(place) for place in places}

    everywhere = {"standard": EVERYWHERE, "caged": CAGED, "namespaced": OF_THE_CLUSTER}[mode.name]
    assert found["kube-system"] == everywhere
    assert found["keyturn-system"] == everywhere | AT_HOME_ALONE
    assert found["keyturn-jobs"] == everywhere | FOR_JOBS_ALONE
    if mode.name == "namespaced":
        assert found["default"] == everywhere
        everywhere = everywhere | IN_A_NAMESPACE
    assert found[mode.place] == everywhere


@pytest.mark.parametrize("asked", REFUSED)
def test_it_may_not(mode: Mode, asked: str) -> None:
    verb, resource = asked.split(" ")

    assert not mode.operator.may(verb, resource)
    assert not mode.operator.may(verb, resource, mode.place)
    assert not mode.operator.may(verb, resource, "kube-system")


def test_reading_secrets_is_for_the_mode_standard(mode: Mode) -> None:
    for verb in ("get", "list", "watch"):
        assert mode.operator.may(verb, "secrets", mode.place) is (mode.name != "caged")
        assert mode.operator.may(verb, "secrets") is (mode.name == "standard")
        assert mode.operator.may(verb, "secrets", "kube-system") is (mode.name == "standard")
        of_jobs = verb != "watch" or mode.name == "standard"
        assert mode.operator.may(verb, "secrets", "keyturn-jobs") is of_jobs


@pytest.mark.parametrize(("method", "path", "body"), REQUESTS.values(), ids=REQUESTS.keys())
def test_it_asks_in_vain_for(mode: Mode, method: str, path: str, body: Any) -> None:
    assert mode.operator.request(method, path, body).is_forbidden


MORE_REQUESTS: dict[str, tuple[str, str, Any]] = {
    "a program in a pod": ("POST", core("pods", "default", "p/exec"), None),
    "the log of a pod": ("GET", core("pods", "default", "p/log"), None),
    "the nodes": ("GET", "/api/v1/nodes", None),
    "a kubelet": ("GET", "/api/v1/nodes/n/proxy/pods", None),
    "another spec of a ManagedSecret": (
        "PATCH",
        managed_secrets("default", "db"),
        {"spec": {"reclaimPolicy": "Delete"}},
    ),
    "a ManagedSecret to go": ("DELETE", managed_secrets("default", "db"), None),
    "all ManagedSecrets to go": ("DELETE", managed_secrets("default"), None),
    "another schema": (
        "PATCH",
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/managedsecrets.keyturn.dev",
        {"spec": {"scope": "Cluster"}},
    ),
    "a webhook that sees all Secrets": (
        "POST",
        f"/apis/{ADMISSION}/v1/mutatingwebhookconfigurations",
        {"metadata": {"name": "all"}},
    ),
    "a certificate as administrator": (
        "POST",
        "/apis/certificates.k8s.io/v1/certificatesigningrequests",
        {"metadata": {"name": "admin"}},
    ),
    "a role of its own making": (
        "POST",
        "/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles",
        {"metadata": {"name": "more"}},
    ),
    "a token of somebody else": (
        "POST",
        core("serviceaccounts", "kube-system", "default/token"),
        {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}},
    ),
}


@pytest.mark.parametrize(
    ("method", "path", "body"), MORE_REQUESTS.values(), ids=MORE_REQUESTS.keys()
)
def test_it_asks_in_vain_for_more(mode: Mode, method: str, path: str, body: Any) -> None:
    assert mode.operator.request(method, path, body).is_forbidden


def test_it_cannot_become_somebody_else(mode: Mode) -> None:
    answer = mode.operator.as_user("admin", "system:masters").request("GET", "/api/v1/nodes")

    assert answer.is_forbidden
    assert "cannot impersonate" in answer.message


@pytest.mark.parametrize("dry_run", [{}, {"dryRun": "All"}], ids=["in earnest", "as a dry run"])
@pytest.mark.parametrize(
    ("patch", "body"),
    [
        pytest.param("application/merge-patch+json", {}, id="an empty patch"),
        pytest.param("application/json-patch+json", [], id="an empty JSON patch"),
        pytest.param("application/strategic-merge-patch+json", {}, id="an empty strategic patch"),
        pytest.param(APPLY_PATCH, a_secret("theirs"), id="an empty apply"),
        pytest.param(
            "application/merge-patch+json",
            {"metadata": {"labels": MARKS}},
            id="one that says that it is its own",
        ),
    ],
)
def test_no_patch_reads_a_secret_of_somebody_else(
    mode: Mode, theirs: str, canary: Canary, patch: str, body: Any, dry_run: dict[str, str]
) -> None:
    answer = mode.operator.request(
        "PATCH", theirs, body, patch=patch, fieldManager="keyturn", **dry_run
    )

    assert answer.is_forbidden
    assert "keyturn-cage" in answer.message
    assert canary.scan_text(str(answer.body)) == []


def test_it_deletes_no_secret_of_somebody_else(mode: Mode, theirs: str) -> None:
    assert mode.operator.request("DELETE", theirs).is_forbidden
    assert mode.administrator.request("GET", theirs).is_ok


@pytest.mark.parametrize("place", ["kube-system", "kube-public", "keyturn-system"])
def test_it_writes_into_no_namespace_of_the_cluster(mode: Mode, place: str) -> None:
    body = a_secret("db", labels=MARKS)

    assert mode.operator.request("POST", core("secrets", place), body).is_forbidden
    path = core("secrets", place, "db")
    assert mode.operator.apply(path, body, manager=f"keyturn-{SECRET_ID}").is_forbidden


CAGED_READS = {
    "a Secret": ("GET", ""),
    "the Secrets of the namespace": ("GET", "secrets"),
    "the Secrets of the cluster": ("GET", "/api/v1/secrets"),
    "the names of the Secrets of the cluster": ("GET", "/api/v1/secrets?limit=1"),
    "changes of Secrets": ("GET", "/api/v1/secrets?watch=true&timeoutSeconds=1"),
}


@pytest.mark.parametrize(("method", "path"), CAGED_READS.values(), ids=CAGED_READS.keys())
def test_in_the_mode_caged_it_asks_in_vain_for(
    mode: Mode, theirs: str, canary: Canary, method: str, path: str
) -> None:
    where = {"": theirs, "secrets": core("secrets", mode.place)}.get(path, path)

    answer = mode.operator.request(method, where)

    assert answer.is_forbidden or mode.name != "caged"
    assert mode.name != "caged" or canary.scan_text(str(answer.body)) == []


ELSEWHERE = {
    "a Secret": ("GET", core("secrets", "default", "db"), None),
    "the Secrets": ("GET", core("secrets", "default"), None),
    "the Secrets of the cluster": ("GET", "/api/v1/secrets", None),
    "the ConfigMaps": ("GET", core("configmaps", "default"), None),
    "the pods of the cluster": ("GET", "/api/v1/pods", None),
    "the namespaces": ("GET", "/api/v1/namespaces", None),
    "the namespace": ("GET", "/api/v1/namespaces/default", None),
    "the ManagedSecrets of the cluster": ("GET", "/apis/keyturn.dev/v1alpha1/managedsecrets", None),
    "the ClusterRotators": ("GET", "/apis/keyturn.dev/v1alpha1/clusterrotators", None),
    "a Secret of its own": ("POST", core("secrets", "default"), a_secret("db", labels=MARKS)),
    "a Secret of its own to go": ("DELETE", core("secrets", "default", "db"), None),
}


@pytest.mark.parametrize(("method", "path", "body"), ELSEWHERE.values(), ids=ELSEWHERE.keys())
def test_where_it_has_no_role_it_asks_in_vain_for(
    namespaced: Audited, method: str, path: str, body: Any
) -> None:
    with the_operator(namespaced.control_plane) as operator:
        answer = operator.request(method, path, body)

    assert answer.is_forbidden
