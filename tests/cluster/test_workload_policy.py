"""The workloads' cage: of a workload, the operator writes the versions that its pods start with.

Each request is sent by hand with a token of the operator's ServiceAccount, as somebody would who
had taken over its pod. In the namespace of a test it has the rights of an administrator, so that
nothing but the policy keeps it from more.
"""

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from apiserver import APPLY_PATCH, MERGE_PATCH, Answer, Apiserver
from cluster.operating import eventually
from cluster.people import OPERATOR

JSON_PATCH = "application/json-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"

POLICY = "ValidatingAdmissionPolicy 'keyturn-workloads'"
OURS = "keyturn.dev/version.db"
THEIRS = "team.example/owner"

KINDS = {"Deployment": "deployments", "StatefulSet": "statefulsets", "DaemonSet": "daemonsets"}

ROLLOUTS = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "rollouts.argoproj.io"},
    "spec": {
        "group": "argoproj.io",
        "names": {"kind": "Rollout", "plural": "rollouts"},
        "scope": "Namespaced",
        "versions": [
            {
                "name": "v1alpha1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "x-kubernetes-preserve-unknown-fields": True,
                    }
                },
            }
        ],
    },
}
"""As much of the CRD of Argo Rollouts as an apiserver needs to serve the kind."""


@pytest.fixture(autouse=True)
def all_policies(enforced: None) -> None:
    """No request is sent before the policies are enforced."""


@pytest.fixture
def operator(apiserver: Apiserver, operator_identity: Apiserver, namespace: str) -> Apiserver:
    """The operator, as an administrator of the namespace."""
    binding = {
        "metadata": {"name": "more-than-it-has"},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": "cluster-admin",
        },
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": OPERATOR}],
    }
    path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings"
    assert apiserver.request("POST", path, binding).is_ok
    eventually(lambda: operator_identity.may("delete", "deployments.apps", namespace))
    return operator_identity


def workloads(namespace: str, plural: str = "deployments", name: str = "") -> str:
    group = "argoproj.io/v1alpha1" if plural == "rollouts" else "apps/v1"
    path = f"/apis/{group}/namespaces/{namespace}/{plural}"
    return f"{path}/{name}" if name else path


def a_workload(kind: str = "Deployment", name: str = "web") -> dict[str, Any]:
    version = "argoproj.io/v1alpha1" if kind == "Rollout" else "apps/v1"
    spec: dict[str, Any] = {
        "selector": {"matchLabels": {"app": name}},
        "template": {
            "metadata": {"labels": {"app": name}, "annotations": {THEIRS: "shop", OURS: "6"}},
            "spec": {
                "containers": [
                    {
                        "name": "app",
                        "image": "localhost/app:1",
                        "envFrom": [{"secretRef": {"name": "db"}}],
                    }
                ],
            },
        },
    }
    if kind != "DaemonSet":
        spec["replicas"] = 0
    if kind == "StatefulSet":
        spec["serviceName"] = name
    return {
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": name, "labels": {"app": name}, "annotations": {THEIRS: "shop"}},
        "spec": spec,
    }


@pytest.fixture
def web(apiserver: Apiserver, namespace: str) -> str:
    """A Deployment of somebody else; its path."""
    made = apiserver.request("POST", workloads(namespace), a_workload(), fieldManager="them")
    assert made.is_ok, made.message
    return workloads(namespace, name="web")


def versions(**written: str | None) -> dict[str, Any]:
    """Make the patch that the operator sends, of the versions of ManagedSecrets by their names."""
    notes = {f"keyturn.dev/version.{name}": version for name, version in written.items()}
    return {"spec": {"template": {"metadata": {"annotations": notes}}}}


def refusal(answer: Answer) -> str:
    assert answer.is_forbidden, answer
    assert POLICY in answer.message
    return answer.message


# What it may


@pytest.mark.parametrize("patch", [MERGE_PATCH, STRATEGIC_PATCH])
@pytest.mark.parametrize("kind", KINDS)
def test_the_versions_are_written_on_each_kind(
    apiserver: Apiserver, operator: Apiserver, namespace: str, kind: str, patch: str
) -> None:
    path = workloads(namespace, KINDS[kind])
    assert apiserver.request("POST", path, a_workload(kind)).is_ok

    answer = operator.request("PATCH", f"{path}/web", versions(db="7", cache="12-2"), patch=patch)

    assert answer.is_ok, answer.message
    notes = answer.body["spec"]["template"]["metadata"]["annotations"]
    assert notes == {
        THEIRS: "shop",
        OURS: "7",
        "keyturn.dev/version.cache": "12-2",
    }


def test_a_template_without_annotations_and_one_that_loses_ours(
    apiserver: Apiserver, operator: Apiserver, namespace: str
) -> None:
    bare = a_workload()
    del bare["spec"]["template"]["metadata"]["annotations"]
    assert apiserver.request("POST", workloads(namespace), bare).is_ok
    path = workloads(namespace, name="web")

    assert operator.request("PATCH", path, versions(db="1")).is_ok
    assert operator.request("PATCH", path, versions(db=None)).is_ok


# What it may not


def template(**pod: Any) -> dict[str, Any]:
    return {"spec": {"template": {"spec": pod}}}


def container(**fields: Any) -> dict[str, Any]:
    written = {"name": "app", "image": "localhost/app:1", **fields}
    return template(containers=[written])


REFUSED: dict[str, dict[str, Any]] = {
    "another image": container(image="evil/app:1"),
    "a command": container(command=["/bin/sh", "-c", "cat /etc/shadow"]),
    "arguments": container(args=["--insecure"]),
    "a variable": container(env=[{"name": "LD_PRELOAD", "value": "/x.so"}]),
    "another Secret": container(envFrom=[{"secretRef": {"name": "other"}}]),
    "privileges": container(securityContext={"capabilities": {"add": ["SYS_ADMIN"]}}),
    "one more container": template(
        containers=[
            {"name": "app", "image": "localhost/app:1"},
            {"name": "more", "image": "evil/app:1"},
        ]
    ),
    "an init container": template(initContainers=[{"name": "first", "image": "evil/app:1"}]),
    "a volume": template(volumes=[{"name": "all", "secret": {"secretName": "other"}}]),
    "a volume of the node": template(volumes=[{"name": "all", "hostPath": {"path": "/"}}]),
    "a ServiceAccount": template(serviceAccountName="admin"),
    "the node's network": template(hostNetwork=True),
    "another node": template(nodeSelector={"kubernetes.io/hostname": "x"}),
    "a pull secret": template(imagePullSecrets=[{"name": "x"}]),
    "replicas": {"spec": {"replicas": 5}},
    "a pause": {"spec": {"paused": True}},
    "a strategy": {"spec": {"strategy": {"type": "Recreate", "rollingUpdate": None}}},
    "a history": {"spec": {"revisionHistoryLimit": 0}},
    "a label": {"metadata": {"labels": {"keyturn.dev/version.db": "7"}}},
    "a label taken off": {"metadata": {"labels": {"app": None}}},
    "an annotation": {"metadata": {"annotations": {OURS: "7"}}},
    "another's annotation": {"metadata": {"annotations": {THEIRS: "us"}}},
    "an annotation taken off": {"metadata": {"annotations": {THEIRS: None}}},
    "an owner": {
        "metadata": {
            "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "x", "uid": "1"}]
        }
    },
    "a finalizer": {"metadata": {"finalizers": ["keyturn.dev/hangs"]}},
    "a label of the pods": {"spec": {"template": {"metadata": {"labels": {"more": "x"}}}}},
    "a note of another on the pods": {
        "spec": {"template": {"metadata": {"annotations": {THEIRS: "us"}}}}
    },
    "a note of another on the pods taken off": {
        "spec": {"template": {"metadata": {"annotations": {THEIRS: None}}}}
    },
    "all notes of the pods taken off": {"spec": {"template": {"metadata": {"annotations": None}}}},
    "a note with a name like ours": {
        "spec": {"template": {"metadata": {"annotations": {"keyturn.dev/versions": "7"}}}}
    },
    "a note that a mesh acts on": {
        "spec": {"template": {"metadata": {"annotations": {"sidecar.istio.io/inject": "false"}}}}
    },
    "a text in the place of a version": versions(db="7; rm -rf /"),
    "no version": versions(db=""),
}


@pytest.mark.parametrize("change", REFUSED.values(), ids=REFUSED.keys())
def test_nothing_else_is_written(
    operator: Apiserver, apiserver: Apiserver, web: str, change: dict[str, Any]
) -> None:
    both = copy.deepcopy(change)
    # Hidden behind what it may write.
    spec = both.setdefault("spec", {}).setdefault("template", {}).setdefault("metadata", {})
    if spec.get("annotations", {}) is not None:
        spec.setdefault("annotations", {}).setdefault("keyturn.dev/version.cover", "7")

    for patch in (change, both):
        refusal(operator.request("PATCH", web, patch))
        refusal(operator.request("PATCH", web, patch, dryRun="All"))

    assert apiserver.request("GET", web).body["metadata"]["generation"] == 1


def test_no_kind_of_request_goes_around_it(operator: Apiserver, web: str) -> None:
    image = container(image="evil/app:1")
    by_path = [
        {
            "op": "replace",
            "path": "/spec/template/spec/containers/0/image",
            "value": "evil/app:1",
        }
    ]
    stood = operator.request("GET", web).body
    del stood["metadata"]["resourceVersion"]  # Its controller writes the status meanwhile.
    replaced = json.loads(json.dumps(stood).replace("localhost/app:1", "evil/app:1"))
    applied = {"apiVersion": "apps/v1", "kind": "Deployment", **image}

    refusal(operator.request("PATCH", web, image, patch=STRATEGIC_PATCH))
    refusal(operator.request("PATCH", web, by_path, patch=JSON_PATCH))
    refusal(operator.request("PUT", web, replaced))
    refusal(
        operator.request("PATCH", web, applied, patch=APPLY_PATCH, fieldManager="x", force="true")
    )


def test_it_makes_scales_and_deletes_none(operator: Apiserver, web: str, namespace: str) -> None:
    refusal(operator.request("POST", workloads(namespace), a_workload(name="other")))
    refusal(operator.request("DELETE", web))
    refusal(operator.request("DELETE", workloads(namespace)))
    refusal(operator.request("PATCH", f"{web}/scale", {"spec": {"replicas": 5}}))
    refusal(operator.request("PATCH", f"{web}/status", {"status": {"replicas": 5}}))


def test_others_are_not_looked_at(apiserver: Apiserver, web: str) -> None:
    assert apiserver.request("PATCH", web, container(image="localhost/app:2")).is_ok
    assert apiserver.request("DELETE", web).is_ok


# A kind that is not always there


@pytest.fixture
def rollouts(apiserver: Apiserver, namespace: str) -> Iterator[Callable[..., str]]:
    """Serve Rollouts; the path of them, or of one."""
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    crd = f"{path}/rollouts.argoproj.io"

    def is_served() -> bool:
        # Null until the apiserver has looked at it.
        conditions = apiserver.request("GET", crd).body["status"].get("conditions") or []
        return any(c["type"] == "Established" and c["status"] == "True" for c in conditions)

    assert apiserver.request("POST", path, ROLLOUTS).is_ok
    eventually(is_served)
    # Its path may be there a moment later.
    eventually(lambda: apiserver.request("GET", workloads(namespace, "rollouts")).is_ok)
    yield lambda name="": workloads(namespace, "rollouts", name)
    apiserver.request("DELETE", crd)
    eventually(lambda: not apiserver.request("GET", crd).is_ok)


def test_a_rollout_is_a_workload_too(
    apiserver: Apiserver, operator: Apiserver, rollouts: Callable[..., str]
) -> None:
    assert apiserver.request("POST", rollouts(), a_workload("Rollout")).is_ok
    by_reference = a_workload("Rollout", "canary")
    by_reference["spec"]["workloadRef"] = {"kind": "Deployment", "name": "web"}
    del by_reference["spec"]["template"]
    assert apiserver.request("POST", rollouts(), by_reference).is_ok
    # The apiserver learns of a kind that a policy names a moment after it is served.
    image = container(image="evil/app:1")
    eventually(
        lambda: POLICY in operator.request("PATCH", rollouts("web"), image, dryRun="All").message,
        what="the policy is enforced on the new kind",
    )

    refusal(operator.request("PATCH", rollouts("web"), image))
    refusal(operator.request("PATCH", rollouts("web"), {"spec": {"restartAt": "2026-01-01"}}))
    refusal(operator.request("PATCH", rollouts("web"), {"more": "fields"}))
    refusal(operator.request("PATCH", rollouts("canary"), template(hostNetwork=True)))
    refusal(operator.request("DELETE", rollouts("web")))
    written = operator.request("PATCH", rollouts("web"), versions(db="7"))
    assert written.is_ok, written.message
