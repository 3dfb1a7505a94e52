"""Running pods, reduced to what tells which version of a Secret each of them holds."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from keyturn.domain.consumers import NOT_YET, RunningPod, Use, Via, WorkloadRef
from keyturn.kube.pod_uses import add_uses_of_pod, uses_by_container
from keyturn.kube.workloads import REPLICA_SETS, WORKLOADS

Json = Mapping[str, Any]

REFRESH = timedelta(minutes=2)
"""How old the files of a volume may be when a container begins.

A kubelet mounts the volumes before it pulls the images, and brings them up to date each minute, or
a minute and a half with its jitter, plus what its cache lags behind.
"""

_READ = {**WORKLOADS, "ReplicaSet": REPLICA_SETS}
"""The kinds of owners that are read, by their names."""

_OVER = ("Succeeded", "Failed")
_MOUNTED = frozenset({Via.VOLUME, Via.PROJECTED, Via.SUB_PATH})
_CANNOT_START = frozenset(
    {
        "CrashLoopBackOff",
        "ImagePullBackOff",
        "ErrImagePull",
        "InvalidImageName",
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
    }
)


class Owner(NamedTuple):
    """The controller of an object, as its metadata names it.

    A kind of another group that is called like one that is read has its group behind it, as kubectl
    writes it: `StatefulSet.apps.kruise.io`.
    """

    kind: str
    name: str


def owner_of(metadata: Json) -> Owner | None:
    """Name the controller of an object; None if it has none."""
    for reference in metadata.get("ownerReferences") or ():
        if reference.get("controller"):
            return Owner(_kind(reference), reference["name"])
    return None


def _kind(reference: Json) -> str:
    kind, group = str(reference["kind"]), str(reference["apiVersion"]).rpartition("/")[0]
    read = _READ.get(kind)
    return kind if read is None or read.group_name == group else f"{kind}.{group}"


def workload_of(metadata: Json, owners: Mapping[Owner, Owner]) -> WorkloadRef:
    """Name the outermost owner of a pod; `owners` are the owners of ReplicaSets and Jobs."""
    owner = owner_of(metadata)
    if owner is None:
        return WorkloadRef("Pod", metadata["name"])
    return WorkloadRef(*owners.get(owner, owner))


class PodFacts(NamedTuple):
    """A running pod, and its controller, as its metadata names it."""

    pod: RunningPod
    owner: Owner | None


def running_pod(body: Json) -> PodFacts | None:
    """Reduce a pod as the apiserver gives it; None if it is over."""
    metadata, status = body["metadata"], body.get("status") or {}
    if status.get("phase") in _OVER:
        return None
    statuses, readiness = list(_statuses(status)), _readiness(status)
    ready, since = readiness.get("status") == "True", readiness.get("lastTransitionTime")
    pod = RunningPod(
        name=metadata["name"],
        uid=metadata["uid"],
        workload=workload_of(metadata, {}),
        created=_moment(metadata["creationTimestamp"]),
        uses=_uses(body),
        ready=ready,
        is_failing=not ready and any(_is_failing(each) for each in statuses),
        unready_since=_moment(since) if since and not ready else None,
        ip=status.get("podIP") or "",
        deleting="deletionTimestamp" in metadata,
    )
    return PodFacts(pod, owner_of(metadata))


def _uses(body: Json) -> Mapping[str, Use]:
    spec, status = body["spec"], body.get("status") or {}
    times = _PodTimes.of(body)
    states = {each["name"]: each for each in _statuses(status)}
    ways: dict[str, set[Via]] = {}
    began: dict[str, list[_Began]] = {}
    for container, uses in uses_by_container(spec).items():
        for name, how in uses.items():
            ways.setdefault(name, set()).update(how)
            moment = times.began(states.get(container) or {}, mounts=not _MOUNTED.isdisjoint(how))
            if moment is not None:
                began.setdefault(name, []).append(moment)
    add_uses_of_pod(ways, spec)
    return {name: _use(how, began.get(name, ())) for name, how in ways.items()}


class _Began(NamedTuple):
    """When a container read a Secret, at the earliest and at the latest."""

    earliest: datetime
    latest: datetime


def _use(via: Iterable[Via], began: Sequence[_Began]) -> Use:
    if not began:
        return Use(frozenset(via))
    earliest, latest = min(each.earliest for each in began), min(each.latest for each in began)
    return Use(frozenset(via), earliest, latest if latest != earliest else None)


class _PodTimes(NamedTuple):
    """The times of a pod that its containers cannot be older than."""

    accepted: datetime
    """From when the kubelet can have mounted its volumes."""
    created: datetime
    is_accepted: bool
    restarts: str
    starting: frozenset[str]
    """The names of those containers that are over when they succeeded: those of the start."""

    @classmethod
    def of(cls, body: Json) -> "_PodTimes":
        spec, status = body["spec"], body.get("status") or {}
        created = _moment(body["metadata"]["creationTimestamp"])
        accepted = status.get("startTime")
        return cls(
            accepted=max(created, _moment(accepted)) if accepted else created,
            created=created,
            is_accepted=accepted is not None,
            restarts=spec.get("restartPolicy", "Always"),
            starting=frozenset(
                container["name"]
                for container in spec.get("initContainers") or ()
                if container.get("restartPolicy") != "Always"
            )
            | frozenset(each["name"] for each in spec.get("ephemeralContainers") or ()),
        )

    def began(self, status: Json, *, mounts: bool) -> _Began | None:
        """Tell when a container read a Secret; None if it holds nothing.

        The environment is read when the container begins, so what does not run holds nothing yet.
        Files may have been mounted before: a container that waits will find them.
        """
        state = status.get("state") or {}
        running, ended = state.get("running"), state.get("terminated")
        if running is not None:
            started = _moment(running["startedAt"]) if running.get("startedAt") else self.created
            latest = max(self.created, started)
            earliest = max(self.accepted, started - REFRESH) if mounts else latest
            return _Began(earliest, max(earliest, latest))
        if not mounts or not self.is_accepted or self._is_over(status, ended):
            return None
        last = ended or (status.get("lastState") or {}).get("terminated") or {}
        finished = last.get("finishedAt")
        if not finished:
            return _Began(self.accepted, self.accepted if last else NOT_YET)
        moment = max(self.accepted, _moment(finished) - REFRESH)
        return _Began(moment, moment)

    def _is_over(self, status: Json, ended: Json | None) -> bool:
        if ended is None:
            return False
        if ended.get("exitCode") == 0 and status.get("name") in self.starting:
            return True
        return self.restarts == "Never" or (
            self.restarts == "OnFailure" and ended.get("exitCode") == 0
        )


def _statuses(status: Json) -> Iterator[Json]:
    for kind in ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses"):
        yield from status.get(kind) or ()


def _readiness(status: Json) -> Json:
    conditions = status.get("conditions") or ()
    return next((each for each in conditions if each["type"] == "Ready"), {})


def _is_failing(status: Json) -> bool:
    waiting = (status.get("state") or {}).get("waiting") or {}
    if waiting.get("reason") in _CANNOT_START:
        return True
    over = (status.get("state") or {}).get("terminated") or {}
    if over.get("exitCode") == 0:
        return False
    return bool(status.get("restartCount")) and not status.get("ready")


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
