"""Workloads, reduced to what they use and how their rollout stands."""

import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, NamedTuple

from keyturn.domain.consumers import Workload, WorkloadRef
from keyturn.domain.restart_marks import PREFIX
from keyturn.kube.pod_uses import all_uses, env_names

Json = Mapping[str, Any]

Digest = Callable[[bytes], str]
"""A keyed digest: a pod template may hold values that somebody wrote in the open."""

_RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"
"""What `kubectl rollout restart` writes; it changes no pod either."""


class Resource(NamedTuple):
    """A kind of the API by the words of its path: `apis/apps/v1` and `deployments`."""

    group: str
    plural: str

    @property
    def group_name(self) -> str:
        """Name the group, without its version; empty for the core group."""
        return "/".join(self.group.split("/")[1:-1])

    def path(self, namespace: str) -> str:
        """Give the path of all of them in a namespace."""
        return f"/{self.group}/namespaces/{namespace}/{self.plural}"


WORKLOADS: Mapping[str, Resource] = {
    "Deployment": Resource("apis/apps/v1", "deployments"),
    "StatefulSet": Resource("apis/apps/v1", "statefulsets"),
    "DaemonSet": Resource("apis/apps/v1", "daemonsets"),
    "Rollout": Resource("apis/argoproj.io/v1alpha1", "rollouts"),
    "CronJob": Resource("apis/batch/v1", "cronjobs"),
    "Job": Resource("apis/batch/v1", "jobs"),
}
REPLICA_SETS = Resource("apis/apps/v1", "replicasets")


class Rollout(NamedTuple):
    """How far a workload has come with its newest template.

    `moves`: it replaces its pods by itself when the template changes.
    """

    replicas: int
    is_done: bool
    has_failed: bool = False
    moves: bool = True


def workload(kind: str, body: Json, digest: Digest) -> Workload:
    """Reduce a workload as the apiserver gives it; `kind` is one of `TEMPLATES`."""
    metadata, template = body["metadata"], TEMPLATES[kind](body)
    rollout = _ROLLOUTS[kind](body) if kind in _ROLLOUTS else Rollout(0, is_done=True, moves=False)
    marks = (template.get("metadata") or {}).get("annotations") or {}
    pods = template.get("spec") or {}
    deadline = body["spec"].get("progressDeadlineSeconds")
    return Workload(
        ref=WorkloadRef(kind, metadata["name"]),
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        annotations=metadata.get("annotations") or {},
        template_annotations=marks,
        template_env_names=env_names(pods),
        template=digest(_without_restarts(template, marks)),
        uses=all_uses(pods),
        replicas=rollout.replicas,
        progress_deadline=None if deadline is None else timedelta(seconds=deadline),
        is_rolled_out=rollout.is_done,
        has_failed=rollout.has_failed,
        moves=rollout.moves,
        deleting="deletionTimestamp" in metadata,
    )


def _without_restarts(template: Json, annotations: Mapping[str, str]) -> bytes:
    """Write a pod template as bytes that no restart changes."""
    kept = {
        name: value
        for name, value in annotations.items()
        if not name.startswith(PREFIX) and name != _RESTARTED_AT
    }
    metadata = {**(template.get("metadata") or {}), "annotations": kept}
    return json.dumps({**template, "metadata": metadata}, sort_keys=True).encode()


def _template(body: Json) -> Json:
    # A Rollout may point to a Deployment instead.
    template: Json = body["spec"].get("template") or {}
    return template


def _job_template(body: Json) -> Json:
    template: Json = body["spec"]["jobTemplate"]["spec"].get("template") or {}
    return template


TEMPLATES: Mapping[str, Callable[[Json], Json]] = {
    "Deployment": _template,
    "StatefulSet": _template,
    "DaemonSet": _template,
    "Rollout": _template,
    "Job": _template,
    "CronJob": _job_template,
}
"""Where a kind has its pod template."""


def _of_deployment(body: Json) -> Rollout:
    spec, status = body["spec"], body.get("status") or {}
    wanted = _wanted(spec)
    updated = status.get("updatedReplicas") or 0
    return Rollout(
        wanted,
        is_done=_is_observed(body)
        and updated == wanted == (status.get("replicas") or 0)
        and (status.get("availableReplicas") or 0) == wanted,
        # What it says of the template before is nothing of this one's.
        has_failed=_is_observed(body)
        and any(
            condition["type"] == "Progressing"
            and condition["status"] == "False"
            and condition.get("reason") == "ProgressDeadlineExceeded"
            for condition in status.get("conditions") or ()
        ),
        moves=not spec.get("paused"),
    )


def _of_stateful_set(body: Json) -> Rollout:
    spec, status = body["spec"], body.get("status") or {}
    wanted, strategy = _wanted(spec), spec.get("updateStrategy") or {}
    kept = (strategy.get("rollingUpdate") or {}).get("partition") or 0
    return Rollout(
        wanted,
        is_done=_is_observed(body)
        and (status.get("updatedReplicas") or 0) >= wanted - kept
        and (status.get("replicas") or 0) == wanted
        and (status.get("readyReplicas") or 0) == wanted,
        moves=strategy.get("type") != "OnDelete",
    )


def _of_daemon_set(body: Json) -> Rollout:
    status = body.get("status") or {}
    wanted = status.get("desiredNumberScheduled") or 0
    return Rollout(
        wanted,
        is_done=_is_observed(body)
        and (status.get("updatedNumberScheduled") or 0) == wanted
        and (status.get("numberAvailable") or 0) == wanted,
        moves=(body["spec"].get("updateStrategy") or {}).get("type") != "OnDelete",
    )


def _of_argo_rollout(body: Json) -> Rollout:
    spec, status = body["spec"], body.get("status") or {}
    # Argo writes the generation as text.
    observed = str(status.get("observedGeneration", "")) == str(body["metadata"].get("generation"))
    return Rollout(
        _wanted(spec),
        is_done=observed and status.get("phase") == "Healthy",
        has_failed=observed and status.get("phase") == "Degraded",
        moves=not spec.get("paused") and "template" in spec,
    )


_ROLLOUTS: Mapping[str, Callable[[Json], Rollout]] = {
    "Deployment": _of_deployment,
    "StatefulSet": _of_stateful_set,
    "DaemonSet": _of_daemon_set,
    "Rollout": _of_argo_rollout,
}


def _wanted(spec: Json) -> int:
    replicas = spec.get("replicas")
    return 1 if replicas is None else int(replicas)


def _is_observed(body: Json) -> bool:
    observed = (body.get("status") or {}).get("observedGeneration") or 0
    return int(observed) >= int(body["metadata"].get("generation") or 0)
