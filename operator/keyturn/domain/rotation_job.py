"""A Kubernetes Job that does one step of a rotation: what runs, with which files, and its end."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from uuid import UUID

from keyturn.domain.payload import SecretValue

FILES = "/keyturn"
"""Where the files of a step are in the container."""

SCRIPT = "/script"
"""Where the files of the ConfigMap with the script are, if one is named."""

REQUEST_FILE = "request.json"

REFUSED_EXIT_CODE = 10
"""With it a container says: the target refused. 0 says done; any other says that it cannot tell."""

OVERTIME = 60.0
"""Seconds beyond its deadline after which an end of a Job is not waited for any more."""


class JobResult(StrEnum):
    """How a Job ended."""

    DONE = "Done"
    REFUSED = "Refused"
    FAILED = "Failed"
    TOO_LATE = "TooLate"


@dataclass(frozen=True, slots=True)
class JobPod:
    """What the administrator says of the pod; `resources` are as Kubernetes writes them."""

    image: str
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    resources: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    deadline: int = 60
    service_account: str = ""
    node_selector: Mapping[str, str] = field(default_factory=dict)
    image_pull_secrets: tuple[str, ...] = ()
    script_config_map: str = ""


@dataclass(frozen=True, slots=True)
class RotationJob:
    """One step, to be done by a Job.

    `act` is the same for the same step of the same rotation with the same version, and differs
    for every other. `request` is the JSON of the request file, which holds no values; `files` are
    the values by their path below the folder of files.
    """

    secret_id: UUID
    step: str
    act: str
    pod: JobPod
    request: bytes
    files: Mapping[str, SecretValue]

    @property
    def name(self) -> str:
        """The name of the Job, one for each secret: so one Job of a secret runs at a time."""
        return f"rotation-{self.secret_id}"
