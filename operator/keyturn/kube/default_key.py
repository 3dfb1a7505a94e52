"""The native Secret that holds the default key, in the operator's own namespace."""

import base64

from keyturn.kube.client import KubeClient
from keyturn.kube.errors import ObjectNotFoundError
from keyturn.kube.native_secrets import NativeSecrets

NAME = "keyturn-default-key"
KEY_ID, KEY = "key-id", "key"


class DefaultKeySecret:
    """Reads the default key, and makes its Secret once.

    It has no ownerReference and no part in the chart: an uninstall must not take it along.
    """

    def __init__(self, kube: KubeClient, namespace: str) -> None:
        self._secrets = NativeSecrets(kube)
        self._namespace = namespace

    async def read(self) -> tuple[str, bytearray] | None:
        """Return the key's id and bytes; None if the Secret does not exist."""
        try:
            secret = await self._secrets.get(self._namespace, NAME)
        except ObjectNotFoundError:
            return None
        data = secret.get("data") or {}
        return (
            base64.b64decode(data.get(KEY_ID, "")).decode("ascii", "replace"),
            bytearray(base64.b64decode(data.get(KEY, ""))),
        )

    async def create(self, key_id: str, key: bytes | memoryview) -> None:
        """Make the Secret. Raises: AlreadyExistsError."""
        body = bytearray(
            b'{"apiVersion":"v1","kind":"Secret","type":"Opaque","immutable":true,"metadata":{"name":"'
            + NAME.encode()
            + b'","labels":{"app.kubernetes.io/managed-by":"keyturn"},"annotations":{'
            b'"keyturn.dev/description":"Opens every secret in the store of Keyturn. Back it up'
            b' apart from the store; without it the store cannot be read."}},"data":{"'
            + KEY_ID.encode()
            + b'":"'
            + base64.b64encode(key_id.encode())
            + b'","'
            + KEY.encode()
            + b'":"'
        )
        body += base64.b64encode(key) + b'"}}'
        try:
            await self._secrets.create(self._namespace, body, manager="keyturn")
        finally:
            body[:] = bytes(len(body))
