"""Runs a container for each step; docs/rotators-job.md is the contract with its author."""

import hashlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import astuple, replace
from typing import Any

from keyturn.domain.errors import KeyturnError, TargetRefusedError, TargetUnavailableError
from keyturn.domain.payload import SecretValue
from keyturn.domain.rotation_job import (
    OVERTIME,
    REFUSED_EXIT_CODE,
    JobPod,
    JobResult,
    RotationJob,
)
from keyturn.rotators.delegation import RETIRE, SET, TEST, Delegation
from keyturn.rotators.interface import Credential, JobRunner, Order, Target, Traits
from keyturn.rotators.job.pod import fields_of, read_pod

SPEC_VERSION = "1"

Folders = Mapping[str, Mapping[str, SecretValue]]
"""The values of a step by folder and name."""


class JobRotator:
    """Hands each step to a container."""

    def check(self, parameters: Mapping[str, Any]) -> None:
        fields = fields_of(parameters)
        read_pod(fields)
        Delegation.read(fields)

    def traits(self, parameters: Mapping[str, Any]) -> Traits:
        fields = fields_of(parameters)
        traits = Delegation.read(fields).traits()
        return replace(traits, call_seconds=read_pod(fields).deadline + OVERTIME)

    @asynccontextmanager
    async def session(self, target: Target, order: Order) -> AsyncIterator["JobSession"]:
        if target.jobs is None:
            raise TargetUnavailableError("Jobs need the running operator and its cluster")
        yield JobSession(target.jobs, target, order)


class JobSession:
    """Runs one Job after the other for one rotation."""

    def __init__(self, jobs: JobRunner, target: Target, order: Order) -> None:
        fields = fields_of(target.parameters)
        self._jobs = jobs
        self._pod = read_pod(fields)
        self._retires = Delegation.read(fields).retires
        self._admin = target.admin
        self._order = order

    async def accepts(self, credential: Credential) -> bool:
        folders = {"credential": credential.values}
        return await self._run(TEST, credential.version, folders) is JobResult.DONE

    async def set(self, pending: Credential) -> None:
        known = {"current": self._order.current, "previous": self._order.previous}
        folders = {name: part.values for name, part in known.items() if part is not None}
        await self._change(SET, pending.version, {"pending": pending.values, **folders})

    async def retire(self, old: Credential, kept: Sequence[Credential]) -> None:
        if self._retires:
            folders = {f"kept/{place}": part.values for place, part in enumerate(kept, start=1)}
            await self._change(RETIRE, old.version, {"old": old.values, **folders})

    async def holds_lock(self) -> bool:
        return True

    async def issue(self, current: Credential) -> Mapping[str, SecretValue]:  # noqa: ARG002
        raise TargetRefusedError("a Job issues no values: its output is never read")

    async def _change(self, step: str, version: int, folders: Folders) -> None:
        if await self._run(step, version, {**folders, "admin": self._admin}) is JobResult.REFUSED:
            raise TargetRefusedError(
                f"the container refused {step}: it ended with exit code {REFUSED_EXIT_CODE}"
            )

    async def _run(self, step: str, version: int, folders: Folders) -> JobResult:
        """Run the Job of a step; what it returns is done or refused."""
        job = RotationJob(
            self._order.secret_id,
            step,
            self._act(step, version, self._pod),
            self._pod,
            self._request(step, version, folders),
            {f"{at}/{name}": value for at, part in folders.items() for name, value in part.items()},
        )
        try:
            result = await self._jobs.run(job)
        except TargetUnavailableError:
            raise
        except KeyturnError as error:
            raise TargetUnavailableError(f"the Job of {step} cannot run: {error.message}") from None
        if result is JobResult.FAILED:
            raise TargetUnavailableError(
                f"the Job of {step} failed; kubectl logs -n {self._jobs.namespace} job/{job.name} "
                "tells why"
            )
        if result is JobResult.TOO_LATE:
            raise TargetUnavailableError(
                f"the Job of {step} did not end within {self._pod.deadline} s; look with: "
                f"kubectl describe pods -n {self._jobs.namespace} -l job-name={job.name}"
            )
        return result

    def _act(self, step: str, version: int, pod: JobPod) -> str:
        told = [str(self._order.rotation_id), step, version, astuple(pod)]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:32]

    def _request(self, step: str, version: int, folders: Folders) -> bytes:
        request = {
            "specVersion": SPEC_VERSION,
            "step": step,
            "version": version,
            "strategy": self._order.strategy.value,
            "rotationId": str(self._order.rotation_id),
            "secretId": str(self._order.secret_id),
            "baseUsername": self._order.base_username,
            "files": {folder: sorted(part) for folder, part in folders.items()},
        }
        return json.dumps(request, indent=2).encode()
