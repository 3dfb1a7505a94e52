"""The form of a Rotator and a ClusterRotator, as pydantic models, the same as in the CRDs.

The parameters of a type are not looked into: `Rotator.check` reads them field by field.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from keyturn.kube.resource_schema import Key, Model, ObjectName

NAMESPACE = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"

Namespace = Annotated[str, StringConstraints(pattern=NAMESPACE, max_length=63)]
Parameters = dict[str, Any]
Pattern = Annotated[str, StringConstraints(min_length=1, max_length=128)]
NamespacePattern = Annotated[
    str, StringConstraints(pattern=r"^[-a-z0-9*?]+$", min_length=1, max_length=63)
]


class AdminRef(Model):
    """The admin credential."""

    kind: Literal["Secret", "ManagedSecret"]
    namespace: Namespace | None = None
    name: ObjectName
    keys: dict[str, Key] = Field(default={}, max_length=16)


class CaRef(Model):
    """The certificates of the target's authority."""

    kind: Literal["ConfigMap", "Secret"]
    namespace: Namespace | None = None
    name: ObjectName
    key: Key


class Plugin(Model):
    """A rotator of another package."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=253)]
    parameters: dict[str, str] = Field(default={})


class Spec(Model):
    """What the administrator wants; one field for each type."""

    postgresql: Parameters | None = None
    mysql: Parameters | None = None
    mongodb: Parameters | None = None
    redis: Parameters | None = None
    oracle: Parameters | None = None
    sqlserver: Parameters | None = None
    ssh: Parameters | None = None
    oauth2: Parameters | None = None
    webhook: Parameters | None = None
    job: Parameters | None = None
    plugin: Plugin | None = None
    admin_ref: AdminRef | None = None
    ca_ref: CaRef | None = None
    allowed_usernames: list[Pattern] = Field(default=[], max_length=64)
    allowed_namespaces: list[NamespacePattern] = Field(default=[], max_length=64)
    timeout: str | None = None
    max_concurrent: Annotated[int, Field(ge=1, le=32)] | None = None


class Metadata(Model):
    """What the cluster knows of the resource."""

    name: str
    namespace: str = ""
    uid: str
    annotations: dict[str, str] = Field(default={})


class Resource(Model):
    """A whole Rotator or ClusterRotator."""

    metadata: Metadata
    spec: Spec
