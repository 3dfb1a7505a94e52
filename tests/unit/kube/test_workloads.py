from copy import deepcopy
from datetime import timedelta
from typing import Any

import pytest

from keyturn.domain.consumers import Via, Workload, WorkloadRef
from keyturn.kube.workloads import workload

POD: dict[str, Any] = {
    "metadata": {"annotations": {"keyturn.dev/version.db": "3"}},
    "spec": {
        "containers": [
            {
                "name": "app",
                "env": [{"name": "STAKATER_DB_SECRET", "value": "kept-nowhere"}],
                "envFrom": [{"secretRef": {"name": "db"}}],
            }
        ]
    },
}


def a_body(
    spec: dict[str, Any] | None = None, status: dict[str, Any] | None = None
) -> dict[str, Any]:
    metadata = {"name": "web", "uid": "u", "resourceVersion": "7", "generation": 2}
    return {"metadata": metadata, "spec": {"template": POD, **(spec or {})}, "status": status or {}}


def reduced(kind: str, body: dict[str, Any]) -> Workload:
    return workload(kind, body, lambda template: str(len(template)))


def test_a_workload_is_reduced_to_what_it_uses() -> None:
    body = a_body({"replicas": 3, "progressDeadlineSeconds": 90})
    body["metadata"]["annotations"] = {"reloader.stakater.com/auto": "true"}

    found = reduced("Deployment", body)

    assert (found.ref, found.uid, found.resource_version) == (
        *(WorkloadRef("Deployment", "web"), "u"),
        "7",
    )
    assert found.annotations == {"reloader.stakater.com/auto": "true"}
    assert found.template_annotations == {"keyturn.dev/version.db": "3"}
    assert found.template_env_names == {"STAKATER_DB_SECRET"}
    assert found.uses == {"db": {Via.ENV_FROM}}
    assert found.replicas == 3
    assert found.progress_deadline == timedelta(seconds=90)
    assert "kept-nowhere" not in repr(found)


def template_of(**changes: Any) -> str:
    """Digest the template with other fields of its metadata, or of its pods."""
    pod = deepcopy(POD)
    for name, change in changes.items():
        pod[name].update(change)
    return workload("Deployment", a_body({"template": pod}), bytes.hex).template


@pytest.mark.parametrize(
    "annotations",
    [
        {},
        {"keyturn.dev/version.db": "4", "keyturn.dev/version.cache": "1"},
        {"keyturn.dev/version.db": "3", "kubectl.kubernetes.io/restartedAt": "2030-01-01T00:00Z"},
    ],
    ids=["never restarted", "restarted for other versions", "restarted by kubectl"],
)
def test_a_restart_leaves_the_digest_of_the_template(annotations: dict[str, str]) -> None:
    assert template_of(metadata={"annotations": annotations}) == template_of()


@pytest.mark.parametrize(
    "changes",
    [
        {"spec": {"containers": [{"name": "app", "image": "other"}]}},
        {"metadata": {"annotations": {"checksum/config": "1"}}},
        {"metadata": {"labels": {"app": "web"}}},
    ],
)
def test_any_other_change_of_the_template_changes_it(changes: dict[str, Any]) -> None:
    assert template_of(**changes) != template_of()


def test_the_order_of_fields_says_nothing() -> None:
    pods = dict(reversed(POD["spec"]["containers"][0].items()))

    assert template_of(spec={"containers": [pods]}) == template_of()


def test_the_template_of_a_cron_job_stands_deeper() -> None:
    body = a_body()
    body["spec"] = {"jobTemplate": {"spec": {"template": POD}}}

    assert reduced("CronJob", body).uses == {"db": {Via.ENV_FROM}}


DONE = {"observedGeneration": 2, "replicas": 3, "updatedReplicas": 3}
THREE = {"replicas": 3}

ROLLED = {
    "all is new and available": ("Deployment", THREE, {**DONE, "availableReplicas": 3}, True),
    "the controller has not looked": (
        "Deployment",
        THREE,
        {**DONE, "availableReplicas": 3, "observedGeneration": 1},
        False,
    ),
    "an old pod is left": (
        "Deployment",
        THREE,
        {**DONE, "availableReplicas": 3, "replicas": 4},
        False,
    ),
    "one is old": (
        "Deployment",
        THREE,
        {**DONE, "availableReplicas": 3, "updatedReplicas": 2},
        False,
    ),
    "one is not available": ("Deployment", THREE, {**DONE, "availableReplicas": 2}, False),
    "none is wanted": ("Deployment", {"replicas": 0}, {"observedGeneration": 2}, True),
    "nothing is said yet": ("Deployment", {}, {}, False),
    "a StatefulSet": ("StatefulSet", THREE, {**DONE, "readyReplicas": 3}, True),
    "a StatefulSet with an unready pod": (
        "StatefulSet",
        THREE,
        {**DONE, "readyReplicas": 2},
        False,
    ),
    "a StatefulSet that keeps one back": (
        "StatefulSet",
        {**THREE, "updateStrategy": {"rollingUpdate": {"partition": 1}}},
        {**DONE, "readyReplicas": 3, "updatedReplicas": 2},
        True,
    ),
    "a DaemonSet": (
        "DaemonSet",
        {},
        {
            "observedGeneration": 2,
            "desiredNumberScheduled": 2,
            "updatedNumberScheduled": 2,
            "numberAvailable": 2,
        },
        True,
    ),
    "a DaemonSet with an old pod": (
        "DaemonSet",
        {},
        {
            "observedGeneration": 2,
            "desiredNumberScheduled": 2,
            "updatedNumberScheduled": 1,
            "numberAvailable": 2,
        },
        False,
    ),
    "Argo's, which writes the generation as text": (
        "Rollout",
        THREE,
        {"observedGeneration": "2", "phase": "Healthy"},
        True,
    ),
    "Argo's, under way": ("Rollout", THREE, {"observedGeneration": "2", "phase": "Paused"}, False),
}


@pytest.mark.parametrize(("kind", "spec", "status", "is_done"), ROLLED.values(), ids=ROLLED)
def test_a_rollout_is_over_when_all_pods_are_new_and_ready(
    kind: str, spec: dict[str, Any], status: dict[str, Any], is_done: bool
) -> None:
    assert reduced(kind, a_body(spec, status)).is_rolled_out is is_done


OBSERVED = {"observedGeneration": 2}


def a_condition(reason: str, status: str) -> dict[str, Any]:
    return {"conditions": [{"type": "Progressing", "status": status, "reason": reason}]}


@pytest.mark.parametrize(
    ("kind", "status", "has_failed"),
    [
        ("Deployment", OBSERVED | a_condition("ProgressDeadlineExceeded", "False"), True),
        # What is said there is of the template before: the controller has not looked.
        ("Deployment", a_condition("ProgressDeadlineExceeded", "False"), False),
        ("Deployment", a_condition("ReplicaSetUpdated", "True"), False),
        ("Deployment", a_condition("DeploymentPaused", "Unknown"), False),
        ("Rollout", {"observedGeneration": "2", "phase": "Degraded"}, True),
        ("Rollout", {"observedGeneration": "1", "phase": "Degraded"}, False),
    ],
)
def test_a_rollout_that_failed_says_so(kind: str, status: dict[str, Any], has_failed: bool) -> None:
    assert reduced(kind, a_body(THREE, status)).has_failed is has_failed


@pytest.mark.parametrize(
    ("kind", "spec", "moves"),
    [
        ("Deployment", {}, True),
        ("Deployment", {"paused": True}, False),
        ("StatefulSet", {"updateStrategy": {"type": "RollingUpdate"}}, True),
        ("StatefulSet", {"updateStrategy": {"type": "OnDelete"}}, False),
        ("DaemonSet", {"updateStrategy": {"type": "OnDelete"}}, False),
        ("Rollout", {}, True),
        ("Rollout", {"paused": True}, False),
        ("Job", {}, False),
    ],
)
def test_what_a_new_template_does_not_move_is_told(
    kind: str, spec: dict[str, Any], moves: bool
) -> None:
    assert reduced(kind, a_body(spec)).moves is moves


def test_a_rollout_that_points_to_a_deployment_has_no_template() -> None:
    body = a_body()
    body["spec"] = {"workloadRef": {"kind": "Deployment", "name": "web"}}

    found = reduced("Rollout", body)

    assert found.uses == {}
    assert not found.moves
