"""Runs the Job of a step: makes it or finds it again, gives it its values, waits, takes them back.

The Job is named by its secret, so that the apiserver itself lets only one of a secret exist. It is
made before its Secret, which it owns: the pod waits for the Secret, and garbage collection takes
the Secret along where nobody else is left to do so. No two Secrets have one name: while the pod of
one step is not gone yet, a kubelet would give the next one the values that it still knows by it.
"""

import asyncio
import json
import logging
import secrets
from collections.abc import Mapping
from typing import Any

import aiohttp

from keyturn.domain.errors import (
    ClusterUnavailableError,
    KeyturnError,
    NotFoundError,
    TargetLockedError,
    TargetUnavailableError,
)
from keyturn.domain.rotation_job import OVERTIME, JobResult, RotationJob
from keyturn.domain.rotator import JOBS_NAMESPACE
from keyturn.kube.client import Json, KubeClient, query
from keyturn.kube.errors import AlreadyExistsError, ObjectNotFoundError
from keyturn.kube.job_bodies import ACT, JOB, MANAGED, job_body, secret_body, secret_of
from keyturn.kube.metadata_watch import METADATA, METADATA_LIST

logger = logging.getLogger(__name__)

SILENCE = 30.0
"""Seconds without a line after which a watch is taken for dead, and the Job is looked at again."""

_PAUSE = 1.0
_TRIES = 5
_SUFFIX_BYTES = 4
_NEW = query(fieldManager="keyturn", fieldValidation="Strict")

_FAILURES: Mapping[str, JobResult] = {
    "PodFailurePolicy": JobResult.REFUSED,
    "DeadlineExceeded": JobResult.TOO_LATE,
}


class Jobs:
    """The Jobs in the namespace for them, one of a secret at a time."""

    def __init__(
        self,
        kube: KubeClient,
        *,
        namespace: str = JOBS_NAMESPACE,
        overtime: float = OVERTIME,
        silence: float = SILENCE,
    ) -> None:
        self._kube = kube
        self.namespace = namespace
        self._jobs = f"/apis/batch/v1/namespaces/{namespace}/jobs"
        self._secrets = f"/api/v1/namespaces/{namespace}/secrets"
        self._overtime = overtime
        self._silence = silence

    async def run(self, job: RotationJob) -> JobResult:
        """Run a Job to its end; one that runs already for the same act is waited for instead.

        Raises:
            TargetLockedError: a Job of the same secret runs for another act.
            TargetUnavailableError: it did not end, or was taken away.
            KeyturnError: the cluster cannot be asked, or refuses; the Job may run or not.
        """
        uid, secret = await self._begin(job)
        try:
            await self._give(job, secret, uid)
            async with asyncio.timeout(job.pod.deadline + self._overtime):
                return await self._end(job.name, uid)
        except TimeoutError:
            raise TargetUnavailableError(f"the Job {job.name} does not end") from None
        finally:
            await self._take_back(secret)

    async def sweep(self) -> int:
        """Delete each Secret whose Job has ended or is gone, and count them.

        An operator that was killed leaves them behind. What a running Job still needs stays: it is
        found again by the next try of the same step, or goes with its Job.
        """
        path = self._secrets + query(labelSelector=f"{MANAGED}={JOB}")
        found = (await self._kube.request("GET", path, accept=METADATA_LIST)).get("items") or ()
        swept = 0
        for item in found:
            if not await self._is_needed(item["metadata"]):
                await self._take_back(str(item["metadata"]["name"]))
                swept += 1
        return swept

    async def _is_needed(self, secret: Json) -> bool:
        """Tell whether the Job that owns a Secret is still there, and at work."""
        for owner in secret.get("ownerReferences") or ():
            job = await self._find(str(owner["name"]))
            if job is not None and job["metadata"]["uid"] == owner["uid"]:
                return result_of(job) is None
        return False

    async def _begin(self, job: RotationJob) -> tuple[str, str]:
        """Make the Job, or find the same act running; return its UID and its Secret's name."""
        secret = f"{job.name}-{secrets.token_hex(_SUFFIX_BYTES)}"
        body = job_body(job, secret)
        for _ in range(_TRIES):
            try:
                made = await self._kube.request(
                    "POST", self._jobs + _NEW, body=body, accept=METADATA
                )
                return str(made["metadata"]["uid"]), secret
            except AlreadyExistsError:
                found = await self._find(job.name)
            if found is None:
                continue
            if result_of(found) is None:
                return _same_act(job, found), secret_of(found)
            # It ended: what it found out may be out of date by now, so the step is done anew.
            await self._delete(f"{self._jobs}/{job.name}", str(found["metadata"]["uid"]))
        raise TargetLockedError(f"the Job {job.name} comes and goes; another operator makes it")

    async def _give(self, job: RotationJob, secret: str, uid: str) -> None:
        """Make the Secret; one that this Job was given already stays, and any other goes."""
        for _ in range(_TRIES):
            body = secret_body(job, secret, uid)
            try:
                await self._kube.request("POST", self._secrets + _NEW, body=body, accept=METADATA)
            except AlreadyExistsError:
                if await self._is_given(secret, uid):
                    return
            else:
                return
            finally:
                body[:] = bytes(len(body))
            await self._take_back(secret)
        raise TargetLockedError(f"the Secret {secret} comes and goes; another operator makes it")

    async def _is_given(self, name: str, uid: str) -> bool:
        try:
            secret = await self._kube.request("GET", f"{self._secrets}/{name}", accept=METADATA)
        except ObjectNotFoundError:
            return False
        return any(o["uid"] == uid for o in secret["metadata"].get("ownerReferences") or ())

    async def _end(self, name: str, uid: str) -> JobResult:
        """Wait for the end by a watch; a watch that breaks is opened again."""
        while True:
            try:
                job = await self._find(name)
                result = _told(job, uid) or await self._watch(name, uid, _version(job))
            except ClusterUnavailableError as error:
                logger.info("watch of the Job %s: %s", name, error.message)
                result = None
            if result is not None:
                return result
            await asyncio.sleep(_PAUSE)

    async def _watch(self, name: str, uid: str, version: str) -> JobResult | None:
        path = self._jobs + query(
            watch="true", fieldSelector=f"metadata.name={name}", resourceVersion=version
        )
        async with self._kube.stream(path, accept="application/json") as lines:
            while line := await self._line_of(lines):
                event = _event(line)
                if event["type"] == "ERROR":
                    return None
                result = _told(None if event["type"] == "DELETED" else event["object"], uid)
                if result is not None:
                    return result
        return None

    async def _line_of(self, lines: aiohttp.StreamReader) -> bytes:
        try:
            async with asyncio.timeout(self._silence):
                return await lines.readline()
        except TimeoutError:
            raise ClusterUnavailableError("the watch fell silent") from None

    async def _find(self, name: str) -> Json | None:
        try:
            return await self._kube.request("GET", f"{self._jobs}/{name}")
        except ObjectNotFoundError:
            return None

    async def _take_back(self, name: str) -> None:
        """Delete the Secret; where that fails it goes with its Job, or by the next sweep."""
        try:
            await self._delete(f"{self._secrets}/{name}")
        except KeyturnError as error:
            logger.warning("the Secret %s of a Job is not deleted yet: %s", name, error.message)

    async def _delete(self, path: str, uid: str = "") -> None:
        options: Json = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Background",
        }
        if uid:
            options["preconditions"] = {"uid": uid}
        try:
            await self._kube.request("DELETE", path, body=options, accept=METADATA)
        except NotFoundError:
            return


def result_of(job: Json) -> JobResult | None:
    """Tell how a Job ended; None as long as one of its pods may still be at work."""
    for condition in job.get("status", {}).get("conditions") or ():
        if condition["status"] != "True":
            continue
        if condition["type"] == "Complete":
            return JobResult.DONE
        if condition["type"] == "Failed":
            return _FAILURES.get(str(condition.get("reason")), JobResult.FAILED)
    return None


def _told(job: Json | None, uid: str) -> JobResult | None:
    if job is None or job["metadata"]["uid"] != uid:
        raise TargetUnavailableError("the Job was deleted before it ended")
    return result_of(job)


def _version(job: Json | None) -> str:
    return str(job["metadata"]["resourceVersion"]) if job else ""


def _same_act(job: RotationJob, found: Json) -> str:
    metadata: Mapping[str, Any] = found["metadata"]
    if (metadata.get("labels") or {}).get(ACT) != job.act or "deletionTimestamp" in metadata:
        raise TargetLockedError(f"the Job {job.name} still runs for another step or rotation")
    return str(metadata["uid"])


def _event(line: bytes) -> Json:
    try:
        event: Json = json.loads(line)
    except ValueError:
        raise ClusterUnavailableError("a line of the watch was cut off") from None
    return event
