"""Drift: a native Secret that no longer says what its version says."""

from binascii import Error as Base64Error
from binascii import a2b_base64
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from keyturn.domain.payload import SecretValue
from keyturn.projection.desired import DesiredNativeSecret

_DATA_PURPOSE = "native data"


class DriftReason(StrEnum):
    """In what a native Secret differs."""

    DATA_CHANGED = "DataChanged"
    KEY_MISSING = "KeyMissing"
    KEY_LEFT = "KeyLeft"
    LABEL_CHANGED = "LabelChanged"
    ANNOTATION_CHANGED = "AnnotationChanged"
    OWNER_MISSING = "OwnerMissing"
    TYPE_CHANGED = "TypeChanged"
    IMMUTABLE_CHANGED = "ImmutableChanged"


_CONTENT = frozenset(
    {
        DriftReason.DATA_CHANGED,
        DriftReason.KEY_MISSING,
        DriftReason.KEY_LEFT,
        DriftReason.IMMUTABLE_CHANGED,
    }
)


@dataclass(frozen=True, slots=True)
class Drift:
    """One difference; `name` is the key, label or annotation, never a value."""

    reason: DriftReason
    name: str = ""

    def __str__(self) -> str:
        return f"{self.reason}({self.name})" if self.name else str(self.reason)


def find_drift(
    desired: DesiredNativeSecret,
    actual: Mapping[str, Any],
    *,
    written_keys: Collection[str] = (),
) -> Sequence[Drift]:
    """Compare a native Secret, as JSON with its data, with what it should be.

    What others added (keys, labels, annotations, owners) is no drift; a key that we wrote before
    (`written_keys`) and write no longer is.
    """
    metadata = actual.get("metadata") or {}
    drifts = [
        *_data_drift(desired, actual.get("data") or {}, written_keys),
        *_map_drift(desired.labels, metadata.get("labels"), DriftReason.LABEL_CHANGED),
        *_map_drift(
            desired.annotations, metadata.get("annotations"), DriftReason.ANNOTATION_CHANGED
        ),
    ]
    if desired.owner is not None and not _has_owner(desired, metadata):
        drifts.append(Drift(DriftReason.OWNER_MISSING))
    if not desired.merging:
        if desired.type != (actual.get("type") or "Opaque"):
            drifts.append(Drift(DriftReason.TYPE_CHANGED))
        if desired.immutable is not bool(actual.get("immutable")):
            drifts.append(Drift(DriftReason.IMMUTABLE_CHANGED))
    return drifts


def needs_recreation(drifts: Collection[Drift], actual: Mapping[str, Any]) -> bool:
    """Tell whether Kubernetes lets the differences be mended only by a new native Secret."""
    reasons = {drift.reason for drift in drifts}
    if DriftReason.TYPE_CHANGED in reasons:
        return True
    return bool(actual.get("immutable")) and not reasons.isdisjoint(_CONTENT)


def fingerprint(data: Mapping[str, SecretValue], keyed: Callable[..., str]) -> str:
    """Digest data by a keyed function of a purpose and parts, such as `RootKeys.fingerprint`.

    The same data gives the same digest, in whatever order.
    """
    parts: list[bytes | memoryview] = []
    for key in sorted(data):
        parts += (key.encode(), data[key].reveal())
    return keyed(_DATA_PURPOSE, *parts)


def read_data(
    actual: Mapping[str, Any], keys: Collection[str] | None = None
) -> dict[str, SecretValue]:
    """Decode the data of a native Secret, or those of its keys that are named.

    What is no base64 is left out; the apiserver never gives such.
    """
    found: dict[str, SecretValue] = {}
    for key, encoded in (actual.get("data") or {}).items():
        value = _decoded(encoded) if keys is None or key in keys else None
        if value is not None:
            found[key] = value
    return found


def _decoded(encoded: Any) -> SecretValue | None:
    try:
        return SecretValue(bytearray(a2b_base64(encoded or "", strict_mode=bool(encoded))))
    except (Base64Error, TypeError, ValueError):
        return None


def _data_drift(
    desired: DesiredNativeSecret, encoded: Mapping[str, Any], written_keys: Collection[str]
) -> Iterator[Drift]:
    for key, value in desired.data.items():
        if key not in encoded:
            yield Drift(DriftReason.KEY_MISSING, key)
        elif not _is_same(value, encoded[key]):
            yield Drift(DriftReason.DATA_CHANGED, key)
    for key in sorted(set(written_keys) - set(desired.data)):
        if key in encoded:
            yield Drift(DriftReason.KEY_LEFT, key)


def _is_same(value: SecretValue, encoded: Any) -> bool:
    actual = _decoded(encoded)
    if actual is None:
        return False
    with actual:
        return value.matches(actual)


def _map_drift(
    desired: Mapping[str, str], actual: Mapping[str, str] | None, reason: DriftReason
) -> Iterator[Drift]:
    for name, text in desired.items():
        if (actual or {}).get(name) != text:
            yield Drift(reason, name)


def _has_owner(desired: DesiredNativeSecret, metadata: Mapping[str, Any]) -> bool:
    return any(
        desired.owner is not None
        and reference.get("uid") == desired.owner.uid
        and reference.get("controller") is True
        for reference in metadata.get("ownerReferences") or ()
    )
