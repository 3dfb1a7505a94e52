"""The rights of the operator and of people: exactly those of rbac/, and what they come to."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from apiserver import Apiserver, Right, a_managed_secret, core, managed_secrets
from cluster.operating import eventually
from cluster.people import a_secret, an_account
from keyturn_controlplane.cluster import ControlPlane

RBAC = Path(__file__).parents[2] / "rbac"


def rows(group: str, resource: str, verbs: str, name: str = "") -> set[Right]:
    return {(group, resource, name, verb) for verb in verbs.split()}


ADMISSION = "admissionregistration.k8s.io"

EVERYWHERE: set[Right] = {
    *rows("keyturn.dev", "managedsecrets", "get list watch create"),
    *rows("keyturn.dev", "managedsecrets/status", "patch"),
    *rows("keyturn.dev", "rotators", "get list watch"),
    *rows("keyturn.dev", "clusterrotators", "get list watch"),
    *rows("", "secrets", "get list watch create patch delete"),
    *rows("", "configmaps", "get list watch"),
    *rows("", "namespaces", "get"),
    *rows("", "pods", "list watch"),
    *rows("", "serviceaccounts", "list"),
    *rows("apps", "deployments", "list"),
    *rows("apps", "statefulsets", "list"),
    *rows("apps", "daemonsets", "list"),
    *rows("apps", "replicasets", "list"),
    *rows("argoproj.io", "rollouts", "list"),
    *rows("batch", "jobs", "list"),
    *rows("batch", "cronjobs", "list"),
    *rows("networking.k8s.io", "ingresses", "list"),
    *rows("events.k8s.io", "events", "create patch"),
    *rows("apiextensions.k8s.io", "customresourcedefinitions", "get", "managedsecrets.keyturn.dev"),
    *rows(ADMISSION, "validatingadmissionpolicies", "get", "keyturn-cage"),
    *rows(ADMISSION, "validatingadmissionpolicies", "get", "keyturn-author"),
    *rows(ADMISSION, "validatingadmissionpolicies", "get", "keyturn-rotators"),
    *rows(ADMISSION, "validatingadmissionpolicybindings", "get", "keyturn-cage"),
    *rows(ADMISSION, "validatingadmissionpolicybindings", "get", "keyturn-author"),
    *rows(ADMISSION, "validatingadmissionpolicybindings", "get", "keyturn-rotators"),
    *rows(ADMISSION, "validatingadmissionpolicies", "get", "keyturn-workloads"),
    *rows(ADMISSION, "validatingadmissionpolicybindings", "get", "keyturn-workloads"),
    *rows("apps", "deployments", "patch"),
    *rows("apps", "statefulsets", "patch"),
    *rows("apps", "daemonsets", "patch"),
    *rows("argoproj.io", "rollouts", "patch"),
}

AT_HOME: set[Right] = {
    *EVERYWHERE,
    *rows("", "secrets", "get", "keyturn-default-key"),
    *rows("coordination.k8s.io", "leases", "get create update"),
}

WHERE_JOBS_RUN: set[Right] = {
    *EVERYWHERE,
    *rows("batch", "jobs", "get list watch create delete"),
}


@pytest.fixture
def operator(operator_identity: Apiserver) -> Apiserver:
    return operator_identity


@pytest.fixture
def account(control_plane: ControlPlane) -> Iterator[Apiserver]:
    """A ServiceAccount without any right of its own."""
    with an_account(control_plane, "default", "default") as account:
        yield account


@pytest.mark.parametrize(
    ("place", "table"),
    [
        pytest.param("default", EVERYWHERE, id="in a namespace of people"),
        pytest.param("kube-system", EVERYWHERE, id="in a namespace of the cluster"),
        pytest.param("keyturn-system", AT_HOME, id="in its own namespace"),
        pytest.param("keyturn-jobs", WHERE_JOBS_RUN, id="where Jobs run"),
    ],
)
def test_the_operator_has_exactly_these_rights(
    operator: Apiserver, account: Apiserver, place: str, table: set[Right]
) -> None:
    assert operator.rights(place) - account.rights(place) == table


REFUSED = [
    "* *",
    "get *",
    "update secrets",
    "deletecollection secrets",
    "create configmaps",
    "patch configmaps",
    "get pods",
    "patch pods",
    "delete pods",
    "create pods",
    "create pods/exec",
    "get pods/exec",
    "create pods/attach",
    "create pods/portforward",
    "get pods/log",
    "update pods/ephemeralcontainers",
    "create serviceaccounts",
    "create serviceaccounts/token",
    "impersonate users",
    "impersonate groups",
    "impersonate serviceaccounts",
    "create deployments.apps",
    "create jobs.batch",
    "get nodes",
    "get nodes/proxy",
    "create namespaces",
    "patch namespaces",
    "delete namespaces",
    "create roles.rbac.authorization.k8s.io",
    "escalate roles.rbac.authorization.k8s.io",
    "bind roles.rbac.authorization.k8s.io",
    "escalate clusterroles.rbac.authorization.k8s.io",
    "bind clusterroles.rbac.authorization.k8s.io",
    "create clusterrolebindings.rbac.authorization.k8s.io",
    "create customresourcedefinitions.apiextensions.k8s.io",
    "patch customresourcedefinitions.apiextensions.k8s.io",
    "create mutatingwebhookconfigurations.admissionregistration.k8s.io",
    "create validatingwebhookconfigurations.admissionregistration.k8s.io",
    "patch validatingadmissionpolicies.admissionregistration.k8s.io",
    "delete validatingadmissionpolicies.admissionregistration.k8s.io",
    "patch validatingadmissionpolicybindings.admissionregistration.k8s.io",
    "delete validatingadmissionpolicybindings.admissionregistration.k8s.io",
    "create certificatesigningrequests.certificates.k8s.io",
    "approve signers.certificates.k8s.io",
    "create tokenreviews.authentication.k8s.io",
    "create subjectaccessreviews.authorization.k8s.io",
    "update managedsecrets.keyturn.dev",
    "patch managedsecrets.keyturn.dev",
    "delete managedsecrets.keyturn.dev",
    "deletecollection managedsecrets.keyturn.dev",
    "get events.events.k8s.io",
    "create rotators.keyturn.dev",
    "patch rotators.keyturn.dev",
    "use rotators.keyturn.dev",
    "create clusterrotators.keyturn.dev",
    "patch clusterrotators.keyturn.dev",
    "use clusterrotators.keyturn.dev",
    "delete leases.coordination.k8s.io",
    "patch jobs.batch",
    "patch jobs/status.batch",
    "create cronjobs.batch",
]


@pytest.mark.parametrize("asked", REFUSED)
def test_the_operator_may_not(operator: Apiserver, asked: str) -> None:
    verb, resource = asked.split(" ")

    assert not operator.may(verb, resource)
    assert not operator.may(verb, resource, "keyturn-system")
    assert asked == "create jobs.batch" or not operator.may(verb, resource, "keyturn-jobs")


def test_the_operator_runs_jobs_in_one_namespace_only(operator: Apiserver) -> None:
    assert operator.may("create", "jobs.batch", "keyturn-jobs")
    assert not operator.may("create", "jobs.batch", "default")
    assert not operator.may("create", "pods", "keyturn-jobs")


def test_the_operator_has_one_lease(operator: Apiserver) -> None:
    assert operator.may("update", "leases.coordination.k8s.io", "keyturn-system", "keyturn")
    assert not operator.may("update", "leases.coordination.k8s.io", "default", "keyturn")
    assert not operator.may("create", "leases.coordination.k8s.io", "default")


ADMISSION_PATH = f"/apis/{ADMISSION}/v1"
RBAC_PATH = "/apis/rbac.authorization.k8s.io/v1"

REQUESTS: dict[str, tuple[str, str, Any]] = {
    "a token of its own account": (
        "POST",
        core("serviceaccounts", "keyturn-system", "keyturn/token"),
        {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}},
    ),
    "all Secrets of a namespace to go": ("DELETE", core("secrets", "default"), None),
    "its cage to go": (
        "DELETE",
        f"{ADMISSION_PATH}/validatingadmissionpolicies/keyturn-cage",
        None,
    ),
    "its cage unbound": (
        "PATCH",
        f"{ADMISSION_PATH}/validatingadmissionpolicybindings/keyturn-cage",
        {"spec": {"validationActions": ["Audit"]}},
    ),
    "more rights": (
        "PATCH",
        f"{RBAC_PATH}/clusterroles/keyturn",
        {"rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]},
    ),
    "a binding to the administrator's role": (
        "POST",
        f"{RBAC_PATH}/clusterrolebindings",
        {
            "metadata": {"name": "more"},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": "cluster-admin",
            },
        },
    ),
    "a pod": ("POST", core("pods", "default"), {"metadata": {"name": "p"}}),
    "a pod by its name": ("GET", core("pods", "keyturn-system", "p"), None),
}


@pytest.mark.parametrize(("method", "path", "body"), REQUESTS.values(), ids=REQUESTS.keys())
def test_the_operator_asks_in_vain_for(
    operator: Apiserver, method: str, path: str, body: Any
) -> None:
    assert operator.request(method, path, body).is_forbidden


def test_the_operator_cannot_become_somebody_else(operator: Apiserver) -> None:
    answer = operator.as_user("admin", "system:masters").request("GET", core("secrets", "default"))

    assert answer.is_forbidden
    assert "cannot impersonate" in answer.message


# People

ROLES: dict[str, dict[str, bool]] = {
    "view": {
        "get managedsecrets.keyturn.dev": True,
        "list managedsecrets.keyturn.dev": True,
        "watch managedsecrets.keyturn.dev": True,
        "create managedsecrets.keyturn.dev": False,
        "patch managedsecrets.keyturn.dev": False,
        "delete managedsecrets.keyturn.dev": False,
        "get secrets": False,
        "get rotators.keyturn.dev": True,
        "use rotators.keyturn.dev": False,
    },
    "edit": {
        "get managedsecrets.keyturn.dev": True,
        "create managedsecrets.keyturn.dev": True,
        "update managedsecrets.keyturn.dev": True,
        "patch managedsecrets.keyturn.dev": True,
        "delete managedsecrets.keyturn.dev": True,
        "deletecollection managedsecrets.keyturn.dev": True,
        "patch managedsecrets/status.keyturn.dev": False,
        "update managedsecrets/status.keyturn.dev": False,
        "get rotators.keyturn.dev": True,
        "use rotators.keyturn.dev": True,
        "create rotators.keyturn.dev": False,
        "patch rotators.keyturn.dev": False,
        "delete rotators.keyturn.dev": False,
        "use clusterrotators.keyturn.dev": False,
    },
}
ROLES["admin"] = ROLES["edit"] | {
    f"{verb} rotators.keyturn.dev": True
    for verb in ("create", "update", "patch", "delete", "deletecollection")
}


def bound(apiserver: Apiserver, namespace: str, role: str) -> Apiserver:
    """Return the apiserver as a person sees it who has a ClusterRole in a namespace."""
    binding = {
        "metadata": {"name": role},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": role}],
    }
    path = f"{RBAC_PATH}/namespaces/{namespace}/rolebindings"
    assert apiserver.request("POST", path, binding).is_ok
    person = apiserver.as_user(role)
    verb = "create" if role.endswith("-edit") else "get"
    eventually(lambda: person.may(verb, "managedsecrets.keyturn.dev", namespace))
    return person


@pytest.mark.parametrize("role", ROLES)
def test_people_have_rights_by_the_roles_that_every_cluster_has(
    apiserver: Apiserver, namespace: str, role: str
) -> None:
    person = bound(apiserver, namespace, role)

    found = {
        asked: person.may(asked.split(" ")[0], asked.split(" ")[1], namespace)
        for asked in ROLES[role]
    }

    assert found == ROLES[role]


def test_nobody_has_a_right_in_another_namespace(apiserver: Apiserver, namespace: str) -> None:
    person = bound(apiserver, namespace, "admin")

    assert not person.may("get", "managedsecrets.keyturn.dev", "default")
    assert not person.may("create", "managedsecrets.keyturn.dev", "default")


def test_the_role_of_editors_writes_no_secret_by_itself(
    apiserver: Apiserver, enforced: None, namespace: str
) -> None:
    person = bound(apiserver, namespace, "keyturn-edit")

    answer = person.request("POST", managed_secrets(namespace), a_managed_secret())

    assert answer.is_forbidden
    assert "you may not create Secrets" in answer.message


def test_editors_of_a_namespace_make_managed_secrets(
    apiserver: Apiserver, enforced: None, namespace: str
) -> None:
    person = bound(apiserver, namespace, "edit")

    answer = person.request("POST", managed_secrets(namespace), a_managed_secret(), dryRun="All")

    assert answer.is_ok, answer.message


def test_the_operators_account_gives_its_token_to_no_pod(apiserver: Apiserver) -> None:
    account = apiserver.request("GET", core("serviceaccounts", "keyturn-system", "keyturn")).body

    assert account["automountServiceAccountToken"] is False


# The files


def documents() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in sorted(RBAC.glob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text()):
            yield path.name, document


def test_no_role_has_a_wildcard() -> None:
    roles = [document for _, document in documents() if document["kind"].endswith("Role")]

    assert roles
    for role in roles:
        for rule in role["rules"]:
            assert "*" not in {*rule["apiGroups"], *rule["resources"], *rule["verbs"]}


def test_the_files_are_valid_to_the_letter(control_plane: ControlPlane) -> None:
    applied = control_plane.kubectl(
        "apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", str(RBAC)
    )

    assert len(applied.stdout.splitlines()) == len(list(documents()))
    assert applied.stderr == ""


def test_the_files_applied_again_change_nothing(control_plane: ControlPlane) -> None:
    difference = control_plane.kubectl("diff", "--server-side", "-f", str(RBAC), check=False)

    assert difference.stdout == ""
    assert difference.returncode == 0, difference.stderr


@pytest.mark.parametrize(
    "name", ["keyturn-cage", "keyturn-author", "keyturn-rotators", "keyturn-workloads"]
)
def test_the_expressions_of_a_policy_have_no_warning(apiserver: Apiserver, name: str) -> None:
    path = f"{ADMISSION_PATH}/validatingadmissionpolicies/{name}"

    def status() -> dict[str, Any]:
        found: dict[str, Any] = apiserver.request("GET", path).body.get("status", {})
        return found

    eventually(lambda: "typeChecking" in status(), what="the types are checked")

    assert status()["typeChecking"] == {}


@pytest.mark.parametrize("place", ["keyturn-system", "keyturn-jobs"])
def test_its_namespaces_admit_only_restricted_pods(
    apiserver: Apiserver, enforced: None, place: str
) -> None:
    privileged = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p"},
        "spec": {"containers": [{"name": "c", "image": "x", "securityContext": {}}]},
    }

    answer = apiserver.request("POST", core("pods", place), privileged, dryRun="All")

    assert answer.is_forbidden
    assert "restricted" in answer.message


@pytest.mark.parametrize("place", ["keyturn-system", "keyturn-jobs"])
def test_a_secret_of_the_operators_namespaces_is_for_no_editor(
    apiserver: Apiserver, namespace: str, place: str
) -> None:
    person = bound(apiserver, namespace, "admin")

    assert person.request("POST", core("secrets", place), a_secret()).is_forbidden
    assert person.request("GET", core("secrets", place)).is_forbidden
