"""The values that a ManagedSecret takes from other objects of its namespace."""

import base64
import binascii
import re
from collections.abc import Awaitable, Callable, Mapping

from keyturn.domain.errors import DeniedError, SourceNotFoundError
from keyturn.domain.managed_secret import RESERVED_NAMES, ConfigMapKey, SecretKey
from keyturn.domain.payload import SecretValue
from keyturn.domain.secret import SecretName
from keyturn.kube.client import Json, KubeClient
from keyturn.kube.errors import ObjectNotFoundError
from keyturn.kube.missing_rights import name_the_role
from keyturn.kube.resource_schema import OBJECT_NAME

ALLOW = "keyturn.dev/allow"
"""The annotation by which the owner of a native Secret lets a ManagedSecret use it."""


def is_allowed(annotations: Mapping[str, str], resource: str) -> bool:
    """Tell whether the owner of a native Secret lets the ManagedSecret of that name use it."""
    return resource in (name.strip() for name in annotations.get(ALLOW, "").split(","))


_OBJECT_NAME = re.compile(OBJECT_NAME.removesuffix("$"))


class Sources:
    """Reads ConfigMaps and native Secrets that resources name; keeps nothing.

    Whether the author of a resource may read a Secret is checked at admission, by the policy
    keyturn-author. Where that is not bound, or was not when the resource was made, only the
    owner's opt-in opens a Secret to it: otherwise whoever may write a ManagedSecret could read
    every Secret of the namespace by it.
    """

    def __init__(
        self,
        kube: KubeClient,
        *,
        author_checked: Callable[[SecretName], Awaitable[bool]],
        own_namespaces: frozenset[str],
    ) -> None:
        self._kube = kube
        self._author_checked = author_checked
        self._own_namespaces = own_namespaces

    async def read(self, resource: SecretName, source: ConfigMapKey | SecretKey) -> SecretValue:
        """Read one value.

        Raises:
            SourceNotFoundError: the object or its key does not exist.
            DeniedError: the Secret may not be read for this resource.
        """
        if isinstance(source, SecretKey):
            values = await self.native_secret(resource, source.name, seen_at_admission=True)
            return _picked(values, source)
        config_map = await self._get("configmaps", resource.namespace, source.name)
        texts = config_map.get("data") or {}
        values = {key: SecretValue(text.encode()) for key, text in texts.items()}
        return _picked({**values, **decoded(config_map.get("binaryData"))}, source)

    async def native_secret(
        self, resource: SecretName, name: str, *, seen_at_admission: bool
    ) -> dict[str, SecretValue]:
        """Read all values of a native Secret.

        `seen_at_admission` tells whether the resource names it where the policy keyturn-author
        looks; where it does not look, only the opt-in counts.

        Raises:
            SourceNotFoundError: there is none of that name.
            DeniedError: it may not be read for this resource.
        """
        if name in RESERVED_NAMES or resource.namespace in self._own_namespaces:
            raise DeniedError(f"the Secret {name!r} is Keyturn's own and cannot be a source")
        # A generator of another package may ask for anything, as for the path of another namespace.
        if not _OBJECT_NAME.fullmatch(name):
            raise SourceNotFoundError(f"no Secret can have the name {name!r}")
        secret = await self._get("secrets", resource.namespace, name)
        annotations = secret["metadata"].get("annotations") or {}
        is_open = is_allowed(annotations, resource.name) or (
            seen_at_admission and await self._author_checked(resource)
        )
        if not is_open:
            raise DeniedError(
                f"the Secret {name!r} is not open to this resource; its owner can run: kubectl "
                f"annotate secret {name} -n {resource.namespace} {ALLOW}={resource.name}"
            )
        return decoded(secret.get("data"))

    async def _get(self, plural: str, namespace: str, name: str) -> Json:
        try:
            return await self._kube.request(
                "GET", f"/api/v1/namespaces/{namespace}/{plural}/{name}"
            )
        except ObjectNotFoundError as error:
            kind = "Secret" if plural == "secrets" else "ConfigMap"
            raise SourceNotFoundError(f"the {kind} {name!r} does not exist") from error
        except DeniedError as error:
            raise name_the_role(error, namespace, name) from error


def decoded(data: Mapping[str, str] | None) -> dict[str, SecretValue]:
    """Read the `data` of a native Secret. Raises: SourceNotFoundError."""
    try:
        return {k: SecretValue(base64.b64decode(v)) for k, v in (data or {}).items()}
    except binascii.Error:
        raise SourceNotFoundError("the data of the source is not base64") from None


def _picked(values: Mapping[str, SecretValue], source: ConfigMapKey | SecretKey) -> SecretValue:
    if source.key not in values:
        kind = "Secret" if isinstance(source, SecretKey) else "ConfigMap"
        raise SourceNotFoundError(f"the {kind} {source.name!r} has no key {source.key!r}")
    return values[source.key]
