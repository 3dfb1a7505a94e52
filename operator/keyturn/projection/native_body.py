"""The JSON of a native Secret, in one buffer that can be zeroed."""

import json
from binascii import b2a_base64
from typing import Any

from keyturn.domain.managed_secret import API_VERSION, KIND
from keyturn.projection.desired import DesiredNativeSecret

_CHUNK = 3 * 1024
"""A multiple of 3, so that the base64 forms of the chunks join without padding."""


def native_body(desired: DesiredNativeSecret, *, uid: str = "") -> bytearray:
    """Write the body of a create or of a server-side apply; the caller zeroes it.

    With a `uid` the apiserver refuses the write where another Secret has taken the name.
    """
    metadata: dict[str, Any] = {
        "name": desired.name,
        "namespace": desired.namespace,
        "labels": dict(desired.labels),
        "annotations": dict(desired.annotations),
    }
    if uid:
        metadata["uid"] = uid
    if desired.owner is not None:
        metadata["ownerReferences"] = [
            {
                "apiVersion": API_VERSION,
                "kind": KIND,
                "name": desired.owner.name,
                "uid": desired.owner.uid,
                "controller": True,
                "blockOwnerDeletion": False,
            }
        ]
    head: dict[str, Any] = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata}
    if not desired.merging:
        head |= {"type": desired.type, "immutable": desired.immutable}
    body = bytearray(json.dumps(head, separators=(",", ":")).encode())
    body[-1:] = b',"data":{'
    _append_data(body, desired)
    body += b"}}"
    return body


def _append_data(body: bytearray, desired: DesiredNativeSecret) -> None:
    separator = b""
    for key, value in desired.data.items():
        body += separator + json.dumps(key).encode() + b':"'
        with value.reveal() as plaintext:
            # By chunks: what b2a_base64 returns cannot be zeroed, so it is short and soon reused.
            for start in range(0, len(plaintext), _CHUNK):
                body += b2a_base64(plaintext[start : start + _CHUNK], newline=False)
        body += b'"'
        separator = b","
