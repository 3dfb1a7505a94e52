"""What stands at a target's name, as far as its metadata tells."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from keyturn.domain.managed_secret import KIND
from keyturn.projection import marks

_VERSION = re.compile(r"[0-9]{1,18}")

MANAGER_PREFIX = "keyturn-"
"""The field manager of a secret is this and its id."""


@dataclass(frozen=True, slots=True)
class ExistingNativeSecret:
    """The metadata of a native Secret, and its type where it was read.

    `managers` tells who wrote each data key, where known.
    """

    uid: str
    resource_version: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    controller_kind: str = ""
    controller_name: str = ""
    managers: Mapping[str, str] = field(default_factory=dict)
    managed_fields: Sequence[Mapping[str, Any]] = ()
    type: str = ""
    deleting: bool = False

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> "ExistingNativeSecret":
        """Read the metadata of a Secret, or of a PartialObjectMetadata of one.

        Where the data is there too, each of its keys has a manager, if an unknown one.
        """
        metadata = item["metadata"]
        references: Sequence[Mapping[str, Any]] = metadata.get("ownerReferences") or ()
        nobody: Mapping[str, Any] = {}
        controller = next((ref for ref in references if ref.get("controller")), nobody)
        unknown = dict.fromkeys(item.get("data") or {}, "somebody")
        return cls(
            uid=metadata["uid"],
            resource_version=metadata.get("resourceVersion", ""),
            labels=metadata.get("labels") or {},
            annotations=metadata.get("annotations") or {},
            controller_kind=controller.get("kind", ""),
            controller_name=controller.get("name", ""),
            managers=unknown | dict(_managers(metadata.get("managedFields") or ())),
            managed_fields=metadata.get("managedFields") or (),
            type=item.get("type", ""),
            deleting="deletionTimestamp" in metadata,
        )

    @property
    def is_made_by_keyturn(self) -> bool:
        return self.labels.get(marks.MANAGED) == marks.MADE and self.secret_id is not None

    @property
    def secret_id(self) -> UUID | None:
        """The secret that its label names; None where it names none."""
        try:
            return UUID(self.labels.get(marks.IDENTITY, ""))
        except ValueError:
            return None

    @property
    def version(self) -> int:
        """The version that it shows; 0 where it does not say."""
        text = self.annotations.get(marks.VERSION, "")
        return int(text) if _VERSION.fullmatch(text) else 0

    @property
    def version_id(self) -> str:
        """The id of the version that it shows; empty where it does not say."""
        return self.annotations.get(marks.VERSION_ID, "")

    @property
    def is_to_be_taken_over(self) -> bool:
        """Tell whether a person asked to make the values that stand there the next version."""
        return self.annotations.get(marks.VERSION) == marks.TAKE_OVER

    def allows(self, name: str) -> bool:
        """Tell whether its owner lets the ManagedSecret of that name take or fill it."""
        allowed = self.annotations.get(marks.ALLOW, "")
        return name in (part.strip() for part in allowed.split(","))

    def metadata_of(self, manager: str, section: str) -> frozenset[str]:
        """Name the `labels` or the `annotations` that a field manager wrote."""
        written = (
            (entry.get("fieldsV1") or {}).get("f:metadata", {}).get(f"f:{section}", {})
            for entry in self.managed_fields
            if entry.get("manager") == manager
        )
        return frozenset(name.removeprefix("f:") for fields in written for name in fields)

    def is_controlled_by_other(self, name: str) -> bool:
        """Tell whether a controller other than the ManagedSecret of that name holds it."""
        return bool(self.controller_kind) and (
            (self.controller_kind, self.controller_name) != (KIND, name)
        )


def _managers(entries: Any) -> Iterator[tuple[str, str]]:
    for entry in entries:
        for field_name in (entry.get("fieldsV1") or {}).get("f:data") or {}:
            if field_name.startswith("f:"):
                yield field_name.removeprefix("f:"), entry.get("manager", "")
