import hashlib
import hmac
from base64 import b64encode
from copy import deepcopy
from typing import Any

import pytest

from keyturn.domain.payload import SecretValue
from keyturn.projection.desired import DesiredNativeSecret, Owner
from keyturn.projection.drift import (
    Drift,
    DriftReason,
    find_drift,
    fingerprint,
    needs_recreation,
    read_data,
)


def a_secret(*, immutable: bool = False, type_: str = "Opaque") -> DesiredNativeSecret:
    return DesiredNativeSecret(
        namespace="shop",
        name="app",
        type=type_,
        immutable=immutable,
        labels={"keyturn.dev/managed": "true"},
        annotations={"keyturn.dev/version": "7"},
        owner=Owner("orders-db", "u1") if type_ else None,
        data={"a": SecretValue(b"1"), "b": SecretValue(b"\xff")},
    )


def the_native(**changes: Any) -> dict[str, Any]:
    native = {
        "metadata": {
            "labels": {"keyturn.dev/managed": "true"},
            "annotations": {"keyturn.dev/version": "7"},
            "ownerReferences": [{"kind": "ManagedSecret", "uid": "u1", "controller": True}],
        },
        "type": "Opaque",
        "data": {"a": "MQ==", "b": "/w=="},
    }
    return {**deepcopy(native), **changes}


def test_what_was_written_is_no_drift() -> None:
    assert find_drift(a_secret(), the_native()) == []


def test_what_others_added_is_no_drift() -> None:
    native = the_native()
    native["data"]["theirs"] = "eA=="
    native["metadata"]["labels"]["theirs"] = "x"
    native["metadata"]["annotations"]["theirs"] = "x"
    native["metadata"]["ownerReferences"].insert(0, {"kind": "Other", "uid": "u2"})

    assert find_drift(a_secret(), native) == []


@pytest.mark.parametrize(
    ("changes", "drift"),
    [
        ({"data": {"a": "Mg==", "b": "/w=="}}, Drift(DriftReason.DATA_CHANGED, "a")),
        ({"data": {"a": "", "b": "/w=="}}, Drift(DriftReason.DATA_CHANGED, "a")),
        ({"data": {"a": None, "b": "/w=="}}, Drift(DriftReason.DATA_CHANGED, "a")),
        ({"data": {"a": "no base64!", "b": "/w=="}}, Drift(DriftReason.DATA_CHANGED, "a")),
        ({"data": {"a": 5, "b": "/w=="}}, Drift(DriftReason.DATA_CHANGED, "a")),
        ({"data": {"b": "/w=="}}, Drift(DriftReason.KEY_MISSING, "a")),
        ({"type": "other"}, Drift(DriftReason.TYPE_CHANGED)),
        ({"immutable": True}, Drift(DriftReason.IMMUTABLE_CHANGED)),
    ],
)
def test_each_difference_has_its_reason(changes: dict[str, Any], drift: Drift) -> None:
    assert find_drift(a_secret(), the_native(**changes)) == [drift]


@pytest.mark.parametrize(
    ("part", "change", "drift"),
    [
        ("labels", {}, Drift(DriftReason.LABEL_CHANGED, "keyturn.dev/managed")),
        (
            "labels",
            {"keyturn.dev/managed": "merge"},
            Drift(DriftReason.LABEL_CHANGED, "keyturn.dev/managed"),
        ),
        ("labels", None, Drift(DriftReason.LABEL_CHANGED, "keyturn.dev/managed")),
        (
            "annotations",
            {"keyturn.dev/version": "8"},
            Drift(DriftReason.ANNOTATION_CHANGED, "keyturn.dev/version"),
        ),
        ("ownerReferences", None, Drift(DriftReason.OWNER_MISSING)),
        ("ownerReferences", [{"uid": "u0", "controller": True}], Drift(DriftReason.OWNER_MISSING)),
        ("ownerReferences", [{"uid": "u1"}], Drift(DriftReason.OWNER_MISSING)),
    ],
)
def test_each_difference_of_metadata_has_its_reason(part: str, change: Any, drift: Drift) -> None:
    native = the_native()
    native["metadata"][part] = change

    assert find_drift(a_secret(), native) == [drift]


def test_a_secret_that_lost_all_its_data_misses_every_key() -> None:
    native = the_native()
    del native["data"]

    assert [str(drift) for drift in find_drift(a_secret(), native)] == [
        "KeyMissing(a)",
        "KeyMissing(b)",
    ]


def test_a_key_that_we_wrote_and_write_no_longer_is_drift_until_it_is_gone() -> None:
    native = the_native()
    native["data"]["old"] = "eA=="

    assert find_drift(a_secret(), native, written_keys=("a", "old", "gone")) == [
        Drift(DriftReason.KEY_LEFT, "old")
    ]


def test_where_keys_are_merged_the_type_is_somebody_elses() -> None:
    native = the_native(type="other", immutable=True)

    assert find_drift(a_secret(type_=""), native) == []


def test_a_drift_reads_well_and_holds_no_value() -> None:
    assert str(Drift(DriftReason.DATA_CHANGED, "password")) == "DataChanged(password)"
    assert str(Drift(DriftReason.TYPE_CHANGED)) == "TypeChanged"


@pytest.mark.parametrize(
    ("reasons", "immutable", "expected"),
    [
        ([], False, False),
        ([], True, False),
        ([DriftReason.TYPE_CHANGED], False, True),
        ([DriftReason.DATA_CHANGED], False, False),
        ([DriftReason.DATA_CHANGED], True, True),
        ([DriftReason.KEY_MISSING], True, True),
        ([DriftReason.KEY_LEFT], True, True),
        ([DriftReason.IMMUTABLE_CHANGED], True, True),
        ([DriftReason.IMMUTABLE_CHANGED], False, False),
        ([DriftReason.LABEL_CHANGED, DriftReason.OWNER_MISSING], True, False),
    ],
)
def test_only_what_kubernetes_lets_nobody_change_needs_a_new_secret(
    reasons: list[DriftReason], *, immutable: bool, expected: bool
) -> None:
    drifts = [Drift(reason) for reason in reasons]

    assert needs_recreation(drifts, {"immutable": immutable}) is expected


def keyed(purpose: str, *parts: bytes | memoryview) -> str:
    digest = hmac.new(b"key", purpose.encode(), "sha256")
    for part in parts:
        digest.update(len(part).to_bytes(4, "big"))
        digest.update(part)
    return digest.hexdigest()


def test_a_fingerprint_does_not_depend_on_the_order() -> None:
    a, b = SecretValue(b"1"), SecretValue(b"2")

    assert fingerprint({"a": a, "b": b}, keyed) == fingerprint({"b": b, "a": a}, keyed)


def test_a_fingerprint_depends_on_keys_and_values_and_is_no_plain_hash() -> None:
    data = {"a": SecretValue(b"1")}

    assert fingerprint(data, keyed) != fingerprint({"b": SecretValue(b"1")}, keyed)
    assert fingerprint(data, keyed) != fingerprint({"a": SecretValue(b"2")}, keyed)
    assert fingerprint(data, keyed) != hashlib.sha256(b"a1").hexdigest()


def test_the_data_of_a_native_secret_is_read() -> None:
    native = {
        "data": {"a": b64encode(b"\xff\x00").decode(), "empty": "", "wrong": "!", "none": None}
    }

    read = {key: bytes(value.reveal()) for key, value in read_data(native).items()}

    assert read == {"a": b"\xff\x00", "empty": b"", "none": b""}


def test_only_the_keys_that_are_asked_for_are_read() -> None:
    assert set(read_data(the_native(), {"a", "missing"})) == {"a"}


def test_a_native_secret_without_data_has_none() -> None:
    assert read_data({}) == {}
