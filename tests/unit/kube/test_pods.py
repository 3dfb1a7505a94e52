from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from keyturn.domain.consumers import NOT_YET, RunningPod, Use, Via, WorkloadRef
from keyturn.kube.pods import REFRESH, Owner, owner_of, running_pod, workload_of

CREATED = datetime(2030, 1, 1, 12, 0, tzinfo=UTC)
ENV: dict[str, Any] = {"envFrom": [{"secretRef": {"name": "db"}}]}
MOUNT: dict[str, Any] = {"volumeMounts": [{"name": "v", "mountPath": "/v"}]}
VOLUME: dict[str, Any] = {"name": "v", "secret": {"secretName": "db"}}


def at(seconds: float) -> datetime:
    return CREATED + timedelta(seconds=seconds)


def when(seconds: float) -> str:
    return at(seconds).strftime("%Y-%m-%dT%H:%M:%SZ")


def a_pod(
    *containers: dict[str, Any],
    init: tuple[dict[str, Any], ...] = (),
    states: dict[str, Any] | None = None,
    spec: dict[str, Any] | None = None,
    status: dict[str, Any] | None = None,
    owner: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """A pod as the apiserver gives it; `states` are those of its containers, by their names."""
    metadata: dict[str, Any] = {"name": "web-1", "uid": "u", "creationTimestamp": when(0)}
    if owner is not None:
        metadata["ownerReferences"] = [owner]
    stated = [{"name": name, **state} for name, state in (states or {}).items()]
    names = {each["name"] for each in init}
    return {
        "metadata": metadata,
        "spec": {
            "restartPolicy": "Always",
            "volumes": [VOLUME],
            "initContainers": list(init),
            "containers": [{"name": "app", **each} for each in containers],
            **(spec or {}),
        },
        "status": {
            "phase": "Running",
            "startTime": when(1),
            "initContainerStatuses": [each for each in stated if each["name"] in names],
            "containerStatuses": [each for each in stated if each["name"] not in names],
            **(status or {}),
        },
    }


def reduced(body: dict[str, Any]) -> RunningPod:
    facts = running_pod(body)
    assert facts is not None
    return facts.pod


def use_of(body: dict[str, Any]) -> Use:
    return reduced(body).uses["db"]


def running(seconds: float, **more: Any) -> dict[str, Any]:
    return {"state": {"running": {"startedAt": when(seconds)}}, **more}


def ended(seconds: float, code: int) -> dict[str, Any]:
    return {"terminated": {"finishedAt": when(seconds), "exitCode": code}}


BEGAN = {
    "an environment is read at the start": (a_pod(ENV, states={"app": running(300)}), at(300)),
    "one of a clock that is behind, not before the pod": (
        a_pod(ENV, states={"app": running(-30)}),
        at(0),
    ),
    "files are mounted before the images are pulled": (
        a_pod(MOUNT, states={"app": running(100)}),
        at(1),
    ),
    "files are refreshed while a container begins again": (
        a_pod(MOUNT, states={"app": running(3600)}),
        at(3600) - REFRESH,
    ),
    "both: the older counts": (a_pod({**ENV, **MOUNT}, states={"app": running(100)}), at(1)),
    "a pod that no kubelet has seen begins": (
        a_pod(MOUNT, status={"startTime": None, "phase": "Pending"}),
        None,
    ),
    "an environment of what waits is not read": (
        a_pod(ENV, states={"app": {"state": {"waiting": {"reason": "ImagePullBackOff"}}}}),
        None,
    ),
    "files of what waits are mounted": (
        a_pod(MOUNT, states={"app": {"state": {"waiting": {"reason": "ImagePullBackOff"}}}}),
        at(1),
    ),
    "files of what crashed are those of a while ago": (
        a_pod(
            MOUNT,
            states={
                "app": {
                    "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                    "lastState": ended(3600, 1),
                }
            },
        ),
        at(3600) - REFRESH,
    ),
    "what ended will begin again": (
        a_pod(MOUNT, states={"app": {"state": ended(3600, 1)}}),
        at(3600) - REFRESH,
    ),
    "what ended for good holds nothing": (
        a_pod(MOUNT, states={"app": {"state": ended(9, 1)}}, spec={"restartPolicy": "Never"}),
        None,
    ),
    "what succeeded holds nothing": (
        a_pod(MOUNT, states={"app": {"state": ended(9, 0)}}, spec={"restartPolicy": "OnFailure"}),
        None,
    ),
    "a container of the start that is over holds nothing": (
        a_pod(
            {},
            init=({"name": "migrate", **MOUNT},),
            states={"migrate": {"state": ended(9, 0)}, "app": running(10)},
        ),
        None,
    ),
    "a container of the start that runs on counts": (
        a_pod(
            {},
            init=({"name": "proxy", "restartPolicy": "Always", **ENV},),
            states={"proxy": running(5), "app": running(10)},
        ),
        at(5),
    ),
    "of two containers the longest-running counts": (
        a_pod(
            {"name": "old", **ENV},
            {"name": "new", **ENV},
            states={"old": running(5), "new": running(5000)},
        ),
        at(5),
    ),
    "a container for debugging counts": (
        a_pod(
            {},
            spec={"ephemeralContainers": [{"name": "debug", **ENV}]},
            status={"ephemeralContainerStatuses": [{"name": "debug", **running(500)}]},
        ),
        at(500),
    ),
    "a kubelet that did not say when is taken for slow": (
        a_pod(ENV, states={"app": {"state": {"running": {}}}}),
        at(0),
    ),
}


@pytest.mark.parametrize(("body", "began"), BEGAN.values(), ids=BEGAN)
def test_when_a_pod_read_its_secret_at_the_earliest(
    body: dict[str, Any], began: datetime | None
) -> None:
    assert use_of(body).began == began


LATEST = {
    "when the container began, after the mount": (
        a_pod(MOUNT, states={"app": running(60)}),
        at(60),
    ),
    "not yet: it waits for its volumes": (
        a_pod(MOUNT, states={"app": {"state": {"waiting": {"reason": "ContainerCreating"}}}}),
        NOT_YET,
    ),
    "as at the earliest, of an environment": (a_pod(ENV, states={"app": running(60)}), None),
    "as at the earliest, of what crashed": (
        a_pod(MOUNT, states={"app": {"state": ended(60, 1)}}),
        None,
    ),
    "of two containers the first": (
        a_pod(
            {"name": "old", **MOUNT},
            {"name": "new", **MOUNT},
            states={"old": running(60), "new": running(90)},
        ),
        at(60),
    ),
}


@pytest.mark.parametrize(("body", "latest"), LATEST.values(), ids=LATEST)
def test_when_a_pod_read_its_secret_at_the_latest(
    body: dict[str, Any], latest: datetime | None
) -> None:
    assert use_of(body).latest == latest


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_pod_that_is_over_is_none(phase: str) -> None:
    assert running_pod(a_pod(ENV, status={"phase": phase})) is None


@pytest.mark.parametrize("phase", ["Pending", "Running", "Unknown"])
def test_every_other_pod_counts(phase: str) -> None:
    assert running_pod(a_pod(ENV, status={"phase": phase})) is not None


def test_a_pod_that_is_being_deleted_still_runs() -> None:
    body = a_pod(ENV, states={"app": running(5)})
    body["metadata"]["deletionTimestamp"] = when(9)

    pod = reduced(body)

    assert pod.deleting
    assert pod.holds_any({"db"})


def test_a_pod_that_only_pulls_images_by_a_secret_holds_nothing() -> None:
    body = a_pod({}, spec={"volumes": [], "imagePullSecrets": [{"name": "db"}]})

    assert use_of(body).via == {Via.IMAGE_PULL_SECRETS}
    assert not reduced(body).holds_any({"db"})


def test_what_a_person_asks_of_a_pod_is_kept() -> None:
    conditions = [{"type": "Ready", "status": "True"}]
    body = a_pod(ENV, status={"podIP": "10.0.0.7", "conditions": conditions})

    pod = reduced(body)

    assert (pod.name, pod.uid, pod.created, pod.ready, pod.ip) == (
        *("web-1", "u", CREATED),
        *(True, "10.0.0.7"),
    )


FAILING = [
    ({"state": {"waiting": {"reason": "CrashLoopBackOff"}}}, True),
    ({"state": {"waiting": {"reason": "ImagePullBackOff"}}}, True),
    ({"state": {"waiting": {"reason": "CreateContainerConfigError"}}}, True),
    ({"state": {"waiting": {"reason": "ContainerCreating"}}}, False),
    (running(5, restartCount=1, ready=False), True),
    (running(5, restartCount=1, ready=True), False),
    (running(5, restartCount=0, ready=False), False),
    ({"state": ended(9, 0), "restartCount": 1, "ready": False}, False),
]


@pytest.mark.parametrize(("state", "is_failing"), FAILING)
def test_a_pod_that_fails_is_told_from_one_that_begins(
    state: dict[str, Any], is_failing: bool
) -> None:
    assert reduced(a_pod(ENV, states={"app": state})).is_failing is is_failing


def a_condition(status: str, since: float) -> dict[str, Any]:
    return {"type": "Ready", "status": status, "lastTransitionTime": when(since)}


@pytest.mark.parametrize(
    ("conditions", "since"),
    [
        ([a_condition("False", 90)], at(90)),
        ([a_condition("True", 90)], None),
        ([{"type": "PodScheduled", "status": "False", "lastTransitionTime": when(5)}], None),
    ],
    ids=["not ready", "ready", "not scheduled"],
)
def test_since_when_a_pod_is_not_ready(
    conditions: list[dict[str, Any]], since: datetime | None
) -> None:
    assert reduced(a_pod(ENV, status={"conditions": conditions})).unready_since == since


def test_a_pod_that_is_ready_does_not_fail_by_a_container_for_debugging() -> None:
    broken = {"name": "debug", "state": {"waiting": {"reason": "ErrImagePull"}}}
    conditions = [a_condition("True", 90)]
    status = {"conditions": conditions, "ephemeralContainerStatuses": [broken]}

    assert not reduced(a_pod(ENV, status=status)).is_failing


def test_the_value_of_a_variable_is_nowhere_in_what_is_kept() -> None:
    body = a_pod(
        {**ENV, "env": [{"name": "PW", "value": "kept-nowhere"}], "args": ["kept-nowhere"]}
    )

    assert "kept-nowhere" not in repr(reduced(body))


KRUISE = "apps.kruise.io/v1beta1"
VOLCANO = WorkloadRef("Job.batch.volcano.sh", "report-28")


def an_owner(version: str, kind: str, name: str) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "name": name, "controller": True}


@pytest.mark.parametrize(
    ("owner", "workload"),
    [
        (None, WorkloadRef("Pod", "web-1")),
        (an_owner("apps/v1", "ReplicaSet", "web-5d"), WorkloadRef("Deployment", "web")),
        (an_owner("apps/v1", "ReplicaSet", "lone"), WorkloadRef("ReplicaSet", "lone")),
        (an_owner("batch/v1", "Job", "report-28"), WorkloadRef("CronJob", "report")),
        (an_owner("apps/v1", "StatefulSet", "db"), WorkloadRef("StatefulSet", "db")),
        (an_owner("v1", "ReplicationController", "rc"), WorkloadRef("ReplicationController", "rc")),
        (an_owner(KRUISE, "CloneSet", "c"), WorkloadRef("CloneSet", "c")),
        # Somebody else's kinds that have the names of those that are read
        (an_owner(KRUISE, "StatefulSet", "db"), WorkloadRef("StatefulSet.apps.kruise.io", "db")),
        (an_owner("batch.volcano.sh/v1", "Job", "report-28"), VOLCANO),
    ],
)
def test_the_workload_is_the_outermost_owner(
    owner: dict[str, Any] | None, workload: WorkloadRef
) -> None:
    owners = {
        Owner("ReplicaSet", "web-5d"): Owner("Deployment", "web"),
        Owner("Job", "report-28"): Owner("CronJob", "report"),
    }
    body = a_pod(ENV, owner=owner)

    assert workload_of(body["metadata"], owners) == workload


def test_an_owner_that_does_not_control_is_none() -> None:
    owner = {**an_owner("v1", "Node", "n"), "controller": False}

    assert owner_of({"ownerReferences": [owner]}) is None
