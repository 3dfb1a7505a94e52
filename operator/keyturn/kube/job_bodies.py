"""The Job of a step and the Secret that it mounts, as the apiserver takes them.

The Job holds no value, in no field: the pod waits for the Secret, which holds them all. The pod
keeps the rules of the Pod Security Standard `restricted`.
"""

import json
from binascii import b2a_base64
from collections.abc import Mapping
from typing import Any

from keyturn.domain.rotation_job import (
    FILES,
    REFUSED_EXIT_CODE,
    REQUEST_FILE,
    SCRIPT,
    JobPod,
    RotationJob,
)

MANAGED, JOB = "keyturn.dev/managed", "job"
"""The label by which the policy keyturn-cage knows the Secrets of Jobs."""

ACT = "keyturn.dev/act"
STEP = "keyturn.dev/step"
IDENTITY = "keyturn.dev/secret-id"

KEPT_SECONDS = 600
"""How long an ended Job stays, so that its log can be read; its Secret is gone by then."""

USER = 65532
"""Who the container runs as, whatever its image says: nobody that owns a file."""

_FILES_VOLUME = "files"
_GRACE_SECONDS = 10
_SCRATCH = "16Mi"
_CHUNK = 3 * 1024
"""A multiple of 3, so that the base64 forms of the chunks join without padding."""

Body = dict[str, Any]


def job_body(job: RotationJob, secret: str) -> Body:
    """Make the Job, which mounts the Secret that it will be given."""
    labels = _labels(job)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": job.name, "labels": {**labels, ACT: job.act}},
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": job.pod.deadline,
            "ttlSecondsAfterFinished": KEPT_SECONDS,
            # So the Job itself tells a refusal from a failure, and no pod has to be looked at.
            "podFailurePolicy": {
                "rules": [
                    {
                        "action": "FailJob",
                        "onExitCodes": {
                            "containerName": "rotate",
                            "operator": "In",
                            "values": [REFUSED_EXIT_CODE],
                        },
                    },
                    {
                        # The node was drained: a step may be repeated, so another pod does it.
                        "action": "Ignore",
                        "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
                    },
                ]
            },
            "template": {"metadata": {"labels": labels}, "spec": _pod(job, secret)},
        },
    }


def secret_of(body: Mapping[str, Any]) -> str:
    """Return the name of the Secret that a Job mounts."""
    volumes = body["spec"]["template"]["spec"]["volumes"]
    (name,) = (each["secret"]["secretName"] for each in volumes if each["name"] == _FILES_VOLUME)
    return str(name)


def secret_body(job: RotationJob, secret: str, owner_uid: str) -> bytearray:
    """Make the Secret that the Job owns; whoever asked for it zeroes it."""
    head: Body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "immutable": True,
        "metadata": {
            "name": secret,
            "labels": _labels(job),
            "ownerReferences": [
                {
                    "apiVersion": "batch/v1",
                    "kind": "Job",
                    "name": job.name,
                    "uid": owner_uid,
                    "controller": True,
                    "blockOwnerDeletion": False,
                }
            ],
        },
    }
    body = bytearray(json.dumps(head, separators=(",", ":")).encode())
    body[-1:] = b',"data":{'
    _append(body, REQUEST_FILE, memoryview(job.request))
    for path, value in job.files.items():
        body += b","
        with value.reveal() as plaintext:
            _append(body, _key(path), plaintext)
    body += b"}}"
    return body


def _append(body: bytearray, key: str, content: memoryview) -> None:
    body += json.dumps(key).encode() + b':"'
    # By chunks: what b2a_base64 returns cannot be zeroed, so it is short and soon reused.
    for start in range(0, len(content), _CHUNK):
        body += b2a_base64(content[start : start + _CHUNK], newline=False)
    body += b'"'


def _labels(job: RotationJob) -> Mapping[str, str]:
    return {
        "app.kubernetes.io/managed-by": "keyturn",
        MANAGED: JOB,
        IDENTITY: str(job.secret_id),
        STEP: job.step,
    }


def _key(path: str) -> str:
    return path.replace("/", ".")


def _pod(job: RotationJob, secret: str) -> Body:
    pod = job.pod
    body: Body = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": _GRACE_SECONDS,
        "enableServiceLinks": False,
        "automountServiceAccountToken": bool(pod.service_account),
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(pod)],
        "volumes": _volumes(job, secret),
    }
    if pod.service_account:
        body["serviceAccountName"] = pod.service_account
    if pod.node_selector:
        body["nodeSelector"] = dict(pod.node_selector)
    if pod.image_pull_secrets:
        body["imagePullSecrets"] = [{"name": name} for name in pod.image_pull_secrets]
    return body


def _container(pod: JobPod) -> Body:
    mounts: list[Body] = [
        {"name": _FILES_VOLUME, "mountPath": FILES, "readOnly": True},
        {"name": "scratch", "mountPath": "/tmp"},  # noqa: S108 - the container's own, in memory
    ]
    if pod.script_config_map:
        mounts.append({"name": "script", "mountPath": SCRIPT, "readOnly": True})
    return {
        "name": "rotate",
        "image": pod.image,
        "command": list(pod.command),
        "args": list(pod.args),
        "env": [{"name": name, "value": value} for name, value in pod.env],
        "resources": {kind: dict(amounts) for kind, amounts in pod.resources.items()},
        "volumeMounts": mounts,
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        # What a container writes at its end is never read, so it need not be kept either.
        "terminationMessagePolicy": "File",
    }


def _volumes(job: RotationJob, secret: str) -> list[Body]:
    paths = [REQUEST_FILE, *job.files]
    volumes: list[Body] = [
        {
            "name": _FILES_VOLUME,
            "secret": {
                "secretName": secret,
                "defaultMode": 0o440,
                "items": [{"key": _key(path), "path": path} for path in paths],
            },
        },
        {"name": "scratch", "emptyDir": {"medium": "Memory", "sizeLimit": _SCRATCH}},
    ]
    if job.pod.script_config_map:
        config_map = {"name": job.pod.script_config_map, "defaultMode": 0o555}
        volumes.append({"name": "script", "configMap": config_map})
    return volumes
