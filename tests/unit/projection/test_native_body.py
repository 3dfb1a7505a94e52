import json
from base64 import b64decode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.domain.payload import SecretValue
from keyturn.projection.desired import DesiredNativeSecret, Owner
from keyturn.projection.native_body import native_body


def a_secret(
    data: dict[str, bytes], *, type_: str = "Opaque", owner: Owner | None = None
) -> DesiredNativeSecret:
    return DesiredNativeSecret(
        namespace="shop",
        name="app",
        type=type_,
        immutable=False,
        labels={"l": "é"},
        annotations={"a": '"'},
        owner=owner,
        data={key: SecretValue(value) for key, value in data.items()},
    )


def body_of(secret: DesiredNativeSecret, *, uid: str = "") -> dict[str, Any]:
    body: dict[str, Any] = json.loads(native_body(secret, uid=uid))
    return body


def test_it_is_a_native_secret() -> None:
    assert body_of(a_secret({"a": b"1", "b": b""})) == {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": "app",
            "namespace": "shop",
            "labels": {"l": "é"},
            "annotations": {"a": '"'},
        },
        "type": "Opaque",
        "immutable": False,
        "data": {"a": "MQ==", "b": ""},
    }


def test_a_secret_without_data_has_an_empty_map() -> None:
    assert body_of(a_secret({}))["data"] == {}


def test_the_owner_controls_it_and_never_blocks_a_deletion() -> None:
    body = body_of(a_secret({}, owner=Owner("orders-db", "u1")))

    assert body["metadata"]["ownerReferences"] == [
        {
            "apiVersion": "keyturn.dev/v1alpha1",
            "kind": "ManagedSecret",
            "name": "orders-db",
            "uid": "u1",
            "controller": True,
            "blockOwnerDeletion": False,
        }
    ]


def test_the_uid_is_the_guard_against_one_that_was_made_anew() -> None:
    assert body_of(a_secret({}), uid="u9")["metadata"]["uid"] == "u9"


def test_what_is_merged_into_has_no_type_of_ours() -> None:
    body = body_of(a_secret({"a": b"1"}, type_=""))

    assert "type" not in body
    assert "immutable" not in body


@given(st.dictionaries(st.from_regex(r"\A[-_a-zA-Z0-9]{1,9}\Z"), st.binary(max_size=64)))
def test_every_byte_comes_back(data: dict[str, bytes]) -> None:
    read = body_of(a_secret(data))["data"]

    assert {key: b64decode(text, validate=True) for key, text in read.items()} == data


@pytest.mark.parametrize("size", [3071, 3072, 3073, 6144, 65536])
def test_values_longer_than_a_chunk_come_back_whole(size: int) -> None:
    value = bytes(n % 251 for n in range(size))

    assert b64decode(body_of(a_secret({"a": value}))["data"]["a"], validate=True) == value


def test_it_is_one_buffer_that_can_be_zeroed() -> None:
    body = native_body(a_secret({"a": b"1"}))

    body[:] = bytes(len(body))

    assert set(body) == {0}
