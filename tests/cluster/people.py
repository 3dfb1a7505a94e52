"""Who asks the apiserver: people with exactly the rights that a test gives them, the operator."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from apiserver import Answer, Apiserver, a_managed_secret, connected, core, managed_secrets
from cluster.operating import eventually
from keyturn_controlplane.cluster import ControlPlane

Rule = Mapping[str, Sequence[str]]

OPERATOR = "system:serviceaccount:keyturn-system:keyturn"

A_WORKLOAD = {
    "metadata": {"name": "untouched"},
    "spec": {
        "replicas": 0,
        "selector": {"matchLabels": {"app": "untouched"}},
        "template": {
            "metadata": {"labels": {"app": "untouched"}},
            "spec": {"containers": [{"name": "app", "image": "localhost/app:1"}]},
        },
    },
}
"""A workload that nobody ever changes: what the operator is refused there tells of the policy."""

_RBAC = "/apis/rbac.authorization.k8s.io/v1/namespaces"


def may(verbs: str, resources: str, *names: str, group: str = "") -> Rule:
    """Make a rule of RBAC, for some names or for all.

    >>> may("get list", "secrets", "orders")["verbs"]
    ['get', 'list']
    """
    rule = {"apiGroups": [group], "resources": resources.split(), "verbs": verbs.split()}
    return {**rule, "resourceNames": names} if names else rule


WRITES_RESOURCES = may("create update patch delete get", "managedsecrets", group="keyturn.dev")


def a_person(apiserver: Apiserver, namespace: str, user: str, *rules: Rule) -> Apiserver:
    """Return the apiserver as a person sees it who may write ManagedSecrets, and what `rules` say.

    The right is there when this returns: the authorizer learns of a new role by a watch.
    """
    role = {"metadata": {"name": user}, "rules": [*rules, WRITES_RESOURCES]}
    binding = {
        "metadata": {"name": user},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": user},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
    }
    for plural, body in (("roles", role), ("rolebindings", binding)):
        made = apiserver.request("POST", f"{_RBAC}/{namespace}/{plural}", body)
        assert made.is_ok, made.message
    person = apiserver.as_user(user)
    eventually(lambda: person.may("create", "managedsecrets.keyturn.dev", namespace))
    return person


def an_account(
    control_plane: ControlPlane, namespace: str, name: str
) -> AbstractContextManager[Apiserver]:
    """Reach the apiserver as a ServiceAccount, by a token of it."""
    return connected(control_plane.kubeconfig_for_service_account(namespace, name))


def the_operator(control_plane: ControlPlane) -> AbstractContextManager[Apiserver]:
    """Reach the apiserver as the operator does."""
    return an_account(control_plane, "keyturn-system", "keyturn")


def rotators(namespace: str, name: str = "") -> str:
    """Return the path of the Rotators of a namespace, or of the ClusterRotators, or of one."""
    where = f"namespaces/{namespace}/rotators" if namespace else "clusterrotators"
    path = f"/apis/keyturn.dev/v1alpha1/{where}"
    return f"{path}/{name}" if name else path


def wait_for_policies(
    apiserver: Apiserver, operator: Apiserver, namespace: str = "default"
) -> None:
    """Wait until all policies are enforced: that takes a moment after they were applied.

    The operator has its rights in the namespace.
    """
    unmarked = {"metadata": {"name": "unmarked"}}
    reserved = managed_secrets("kube-public")
    rotator = {
        "apiVersion": "keyturn.dev/v1alpha1",
        "kind": "Rotator",
        "metadata": {"name": "reserved"},
        "spec": {"redis": {"host": "redis"}},
    }

    workload = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    apiserver.request("POST", workload, A_WORKLOAD)

    def is_refused(answer: Answer, by: str) -> bool:
        return answer.is_forbidden and f"ValidatingAdmissionPolicy '{by}'" in answer.message

    def are_enforced() -> bool:
        written = operator.request("POST", core("secrets", namespace), unmarked, dryRun="All")
        asked = apiserver.request("POST", reserved, a_managed_secret(), dryRun="All")
        rotated = apiserver.request("POST", rotators("kube-public"), rotator, dryRun="All")
        paused = operator.request(
            "PATCH", f"{workload}/untouched", {"spec": {"paused": True}}, dryRun="All"
        )
        return (
            is_refused(written, "keyturn-cage")
            and is_refused(asked, "keyturn-author")
            and is_refused(rotated, "keyturn-rotators")
            and is_refused(paused, "keyturn-workloads")
        )

    eventually(are_enforced, what="all policies are enforced")


def a_secret(name: str = "db", **more: Any) -> dict[str, Any]:
    """Make a native Secret; `labels`, `annotations` and the like go into its metadata."""
    inside = ("labels", "annotations", "ownerReferences", "finalizers", "managedFields", "uid")
    metadata = {key: more.pop(key) for key in inside if key in more}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, **metadata}, **more}
