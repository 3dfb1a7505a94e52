"""What a ManagedSecret asks for, parsed: every default resolved, nothing of Kubernetes' form left.

The parser is `keyturn.kube.resources`; what stands here has passed its checks.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from keyturn.domain.consumers_spec import ConsumersSpec
from keyturn.domain.recovery import Retention
from keyturn.domain.rotation import RotationSpec, Until
from keyturn.domain.secret import SecretName
from keyturn.domain.stage import Stage

API_VERSION = "keyturn.dev/v1alpha1"
KIND = "ManagedSecret"

DEFAULT_KEY = "default"
"""The encryption key of a resource that names none; it is made on first use."""

DEFAULT_HISTORY_LIMIT = 10

RESERVED_NAMES = frozenset({"keyturn-default-key"})
"""Native Secrets that no ManagedSecret may read or write: whoever reads one opens the store."""

OWN_NAMESPACES = frozenset({"keyturn-system", "keyturn-jobs"})
"""The operator's own namespaces, unless its settings name others."""

CLUSTER_NAMESPACES = frozenset({"kube-system", "kube-public", "kube-node-lease"})
"""Namespaces in which nothing is projected: who writes Secrets there may take over the cluster."""

_TYPES_WITH_RIGHTS = frozenset(
    {"kubernetes.io/service-account-token", "bootstrap.kubernetes.io/token"}
)

MAX_KEY = 253
KEY_PATTERN = r"^\.?[-_a-zA-Z0-9][-._a-zA-Z0-9]*$"
"""A key of a native Secret: as the apiserver has it, neither `.` nor anything that begins `..`."""

_KEY = re.compile(KEY_PATTERN.removesuffix("$") + r"\Z")


def is_key(name: str) -> bool:
    """Tell whether a native Secret can have a key of that name.

    >>> is_key("tls.crt"), is_key(".env"), is_key(".."), is_key("a b")
    (True, True, False, False)
    """
    return len(name) <= MAX_KEY and _KEY.match(name) is not None


def gives_rights(native_type: str) -> bool:
    """Tell whether a native Secret of that type is a login to the cluster or a record of Helm."""
    return native_type in _TYPES_WITH_RIGHTS or native_type.startswith("helm.sh/")


class AdoptionPolicy(StrEnum):
    """What is done with a native Secret that stands at the target's name already."""

    IMPORT = "Import"
    FAIL = "Fail"


class CreationPolicy(StrEnum):
    """Who makes the native Secret, and what becomes of it; as External Secrets means the words.

    Owner makes it, and it goes with the resource. Orphan makes it, and it stays. Merge writes its
    keys into one that somebody else makes. CreateOrMerge makes it where none is, else merges.
    None writes nothing: the versions are read by other ways.
    """

    OWNER = "Owner"
    ORPHAN = "Orphan"
    MERGE = "Merge"
    CREATE_OR_MERGE = "CreateOrMerge"
    NONE = "None"


class DriftPolicy(StrEnum):
    """What is done when a native Secret no longer says what its version says."""

    CORRECT = "Correct"
    REPORT = "Report"
    IGNORE = "Ignore"


class MergePolicy(StrEnum):
    """Whether the keys of the payload stand beside those of the template."""

    REPLACE = "Replace"
    MERGE = "Merge"


def _canonical(written: Mapping[str, Any]) -> bytes:
    return json.dumps(written, sort_keys=True, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class Literal:
    """A value that stands in the resource itself; not secret, yet never shown."""

    value: str = field(repr=False)

    def canonical(self) -> bytes:
        """Serialise what the author wrote: the same source always gives the same bytes."""
        return _canonical({"value": self.value})


@dataclass(frozen=True, slots=True)
class Generate:
    """A value that a generator makes; `parameters` are as the author wrote them."""

    generator: str
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def canonical(self) -> bytes:
        """Serialise what the author wrote: the same source always gives the same bytes."""
        return _canonical({"generate": {self.generator: dict(self.parameters)}})


@dataclass(frozen=True, slots=True)
class Input:
    """A value that a person gives by `keyturn put`."""

    def canonical(self) -> bytes:
        """Serialise what the author wrote: the same source always gives the same bytes."""
        return _canonical({"input": {}})


@dataclass(frozen=True, slots=True)
class ConfigMapKey:
    """A value that is read from a ConfigMap of the same namespace, and followed."""

    name: str
    key: str

    def canonical(self) -> bytes:
        """Serialise what the author wrote: the same source always gives the same bytes."""
        return _canonical({"valueFrom": {"configMapKeyRef": {"name": self.name, "key": self.key}}})


@dataclass(frozen=True, slots=True)
class SecretKey:
    """A value that is read from a native Secret of the same namespace, and followed."""

    name: str
    key: str

    def canonical(self) -> bytes:
        """Serialise what the author wrote: the same source always gives the same bytes."""
        return _canonical({"valueFrom": {"secretKeyRef": {"name": self.name, "key": self.key}}})


Source = Literal | Generate | Input | ConfigMapKey | SecretKey


def secrets_named_by(source: Source) -> frozenset[str]:
    """Name the native Secrets that a source names where the policy keyturn-author looks.

    A generator of another package may read more of them, by parameters that only it understands.

    >>> secrets_named_by(Generate("tls", {"caSecretRef": {"name": "ca"}}))
    frozenset({'ca'})
    """
    if isinstance(source, SecretKey):
        return frozenset({source.name})
    if isinstance(source, Generate) and source.generator == "tls":
        authority = source.parameters.get("caSecretRef")
        if isinstance(authority, Mapping):
            return frozenset({str(authority.get("name"))})
    return frozenset()


@dataclass(frozen=True, slots=True)
class DataKey:
    """One entry of `spec.data`.

    `fills` are all keys of the payload that the source gives a value to: `key` itself, and for
    some generators more (a public key, a certificate).
    """

    key: str
    source: Source
    fills: tuple[str, ...]


class ProjectedStage(NamedTuple):
    """A stage whose version a target shows, and what is appended to its keys."""

    stage: Stage
    key_suffix: str = ""


@dataclass(frozen=True, slots=True)
class Template:
    """How a target's native Secret looks, beyond the keys of the payload."""

    type: str = "Opaque"
    merge_policy: MergePolicy = MergePolicy.REPLACE
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    data: Mapping[str, str] = field(default_factory=dict)

    @property
    def shows_payload(self) -> bool:
        """Tell whether the keys of the payload are written as they are."""
        return not self.data or self.merge_policy is MergePolicy.MERGE


@dataclass(frozen=True, slots=True)
class Target:
    """One native Secret that a version is rendered into."""

    name: str
    creation_policy: CreationPolicy = CreationPolicy.OWNER
    drift: DriftPolicy = DriftPolicy.CORRECT
    immutable: bool = False
    stages: tuple[ProjectedStage, ...] = (ProjectedStage(Stage.CURRENT),)
    template: Template = field(default_factory=Template)


@dataclass(frozen=True, slots=True)
class ManagedSecretSpec:
    """The specification of a ManagedSecret, its defaults resolved."""

    data: tuple[DataKey, ...]
    description: str = ""
    encryption_key: str = DEFAULT_KEY
    adoption_policy: AdoptionPolicy = AdoptionPolicy.FAIL
    retention: Retention = field(default_factory=Retention)
    history_limit: int = DEFAULT_HISTORY_LIMIT
    targets: tuple[Target, ...] = ()
    rotation: RotationSpec | None = None
    consumers: ConsumersSpec | None = None

    @property
    def asks_for_consumers(self) -> bool:
        """Tell whether somebody has to look at the pods that use the targets."""
        overlap = None if self.rotation is None else self.rotation.overlap
        waits = overlap is not None and overlap.until is Until.CONSUMERS_MOVED
        return waits or self.consumers is not None

    @property
    def generated_keys(self) -> frozenset[str]:
        """The keys that a generator makes: without a target the credential that is rotated."""
        generated = (entry for entry in self.data if isinstance(entry.source, Generate))
        return frozenset(key for entry in generated for key in entry.fills)

    @property
    def keys(self) -> tuple[str, ...]:
        """All keys that the payload of a version will have."""
        return tuple(key for entry in self.data for key in entry.fills)


@dataclass(frozen=True, slots=True)
class ManagedSecret:
    """A ManagedSecret as it stands in the cluster.

    `status` is the raw status that stands there now, to write only what changes.
    """

    name: SecretName
    uid: str
    spec: ManagedSecretSpec
    generation: int = 0
    resource_version: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    status: Mapping[str, Any] = field(default_factory=dict)
    deleting: bool = False

    @property
    def namespace(self) -> str:
        return self.name.namespace

    @property
    def effective_targets(self) -> tuple[Target, ...]:
        """The targets; where the author named none, one with the resource's own name."""
        return self.spec.targets or (Target(self.name.name),)
