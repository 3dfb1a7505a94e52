"""The form of a ManagedSecret, as pydantic models: types and bounds, the same as in the CRD.

Fields that this release does not know are ignored: the apiserver has pruned what the CRD does not
name, so an unknown field comes from a newer CRD, and an operator that is older than it for the
minutes of an upgrade must not stop every resource. Where an unknown field is the only one of a
choice, the choice is empty, and that is refused.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

from keyturn.domain.managed_secret import DEFAULT_HISTORY_LIMIT, KEY_PATTERN, MAX_KEY
from keyturn.domain.rotation import DEFAULT_MAX_FAILURES

Key = Annotated[str, StringConstraints(pattern=KEY_PATTERN, max_length=MAX_KEY)]
OBJECT_NAME = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
RotatorValue = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z][a-zA-Z0-9]*$", max_length=63)]
ObjectName = Annotated[str, StringConstraints(pattern=OBJECT_NAME, max_length=253)]


class Model(BaseModel):
    """What all parts have in common: no guessing of types, and no input in errors."""

    model_config = ConfigDict(
        strict=True, extra="ignore", alias_generator=to_camel, hide_input_in_errors=True
    )


class KeyRef(Model):
    """One key of an object of the same namespace."""

    name: ObjectName
    key: Key


class ValueFrom(Model):
    """Where a value is read from."""

    config_map_key_ref: KeyRef | None = None
    secret_key_ref: KeyRef | None = None


class DataItem(Model):
    """One entry of `spec.data`."""

    key: Key
    value: Annotated[str, StringConstraints(max_length=8192)] | None = None
    generate: dict[str, dict[str, Any]] | None = None
    input: dict[str, Any] | None = None
    value_from: ValueFrom | None = None


class PluginParameters(Model):
    """A generator of another package."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=253)]
    parameters: dict[str, str] = {}


class EncryptionKeyRef(Model):
    """The key that encrypts the versions."""

    name: Literal["default"]


class ProjectedStage(Model):
    """A stage that a target shows."""

    stage: Literal["Current", "Previous"]
    key_suffix: Annotated[str, StringConstraints(pattern=r"^[-._a-zA-Z0-9]*$", max_length=63)] = ""


class TemplateMetadata(Model):
    """What stands on a target's native Secret beside our own marks."""

    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class Template(Model):
    """How a target looks."""

    type: Annotated[str, StringConstraints(min_length=1, max_length=253)] = "Opaque"
    merge_policy: Literal["Replace", "Merge"] = "Replace"
    metadata: TemplateMetadata = TemplateMetadata()
    data: Annotated[
        dict[Key, Annotated[str, StringConstraints(max_length=4096)]], Field(max_length=64)
    ] = {}


class Target(Model):
    """One native Secret that is written."""

    name: ObjectName
    creation_policy: Literal["Owner", "Orphan", "Merge", "CreateOrMerge", "None"] = "Owner"
    drift: Literal["Correct", "Report", "Ignore"] = "Correct"
    immutable: bool = False
    stages: Annotated[list[ProjectedStage], Field(min_length=1, max_length=2)] = [
        ProjectedStage(stage="Current")
    ]
    template: Template = Template()


class RotatorRef(Model):
    """The administrator's resource that says where a credential is rotated."""

    kind: Literal["Rotator", "ClusterRotator"]
    name: ObjectName


class Overlap(Model):
    """How long the previous credential stays valid."""

    until: Literal["Time", "ConsumersMoved"] = "Time"
    max: str


class Rotation(Model):
    """When and how new versions are made without a change of the specification."""

    schedule: str | None = None
    interval: str | None = None
    time_zone: str | None = None
    window: str | None = None
    jitter: str | None = None
    suspend: bool = False
    rotator_ref: RotatorRef | None = None
    strategy: Literal["Regenerate", "SingleUser", "AlternatingUsers"] | None = None
    keys: Annotated[dict[RotatorValue, Key], Field(max_length=16)] = {}
    overlap: Overlap | None = None
    max_failures: Annotated[int, Field(ge=1, le=100)] = DEFAULT_MAX_FAILURES


class ConsumersWindow(Model):
    """When consumers may be restarted or reloaded."""

    schedule: str
    duration: str
    time_zone: str | None = None


class Reload(Model):
    """The HTTP call that makes consumers read the Secret anew."""

    url: Annotated[str, StringConstraints(max_length=1024)]
    method: Literal["GET", "POST", "PUT"] = "POST"
    delay: str | None = None


class Consumers(Model):
    """What is done for those that use the targets."""

    action: Literal["None", "Restart", "Reload"]
    coalesce: str | None = None
    progress_deadline: str | None = None
    on_failure: Literal["Rollback", "Report"] = "Report"
    window: ConsumersWindow | None = None
    reload: Reload | None = None


class Spec(Model):
    """What the author wants."""

    description: Annotated[str, StringConstraints(max_length=1024)] = ""
    encryption_key_ref: EncryptionKeyRef = EncryptionKeyRef(name="default")
    data: Annotated[list[DataItem], Field(min_length=1, max_length=64)]
    adoption_policy: Literal["Import", "Fail"] = "Fail"
    reclaim_policy: Literal["Recover", "Retain", "Delete"] = "Recover"
    recovery_window: str = "14d"
    revision_history_limit: Annotated[int, Field(ge=1, le=100)] = DEFAULT_HISTORY_LIMIT
    targets: Annotated[list[Target], Field(max_length=8)] = []
    rotation: Rotation | None = None
    consumers: Consumers | None = None


class Metadata(Model):
    """What the cluster knows of the resource."""

    name: str
    namespace: str
    uid: str
    generation: int = 0
    resource_version: str = ""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    deletion_timestamp: str | None = None


class Resource(Model):
    """A whole ManagedSecret."""

    metadata: Metadata
    spec: Spec
    status: dict[str, Any] = {}
