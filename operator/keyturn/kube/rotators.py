"""Rotators and ClusterRotators: read what the administrator wrote, and what it names.

Who may use a Rotator, and whether its author may read the Secrets that it names, is checked at
admission, by the policies keyturn-author and keyturn-rotators. Where they are not bound, or were
not when a resource was made, only the consent of an owner counts, as for the sources of a
ManagedSecret: an admin credential goes to a host that the author of the Rotator has chosen.
"""

import base64
import binascii
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

from keyturn.domain.errors import DeniedError, InvalidSpecError, SourceNotFoundError
from keyturn.domain.payload import Payload, SecretValue
from keyturn.domain.rotation import RotatorRef
from keyturn.domain.rotator import (
    CLUSTER_KIND,
    NAMESPACED_KIND,
    AdminKind,
    AdminRef,
    AuthorityKind,
    AuthorityRef,
    RotatorSettings,
    allows_namespace,
)
from keyturn.domain.secret import SecretName
from keyturn.kube.client import JSON, Json, KubeClient
from keyturn.kube.errors import KindNotFoundError, ObjectNotFoundError
from keyturn.kube.following import FollowedObject, path_of
from keyturn.kube.metadata_watch import METADATA
from keyturn.kube.missing_rights import name_the_role
from keyturn.kube.rotator_resources import parse
from keyturn.kube.sources import ALLOW, decoded, is_allowed

ManagedValues = Callable[[SecretName], Awaitable[Mapping[str, SecretValue]]]
"""Gives copies of the current values of a ManagedSecret; whoever asks zeroes them."""

PLURALS: Mapping[str, str] = {
    NAMESPACED_KIND: "rotators",
    CLUSTER_KIND: "clusterrotators",
    "Secret": "secrets",
    "ConfigMap": "configmaps",
    "ManagedSecret": "managedsecrets",
}
"""The kinds that a rotation looks at, and their names in a path."""

_CERTIFICATE, _PRIVATE_KEY = b"-----BEGIN CERTIFICATE-----", b"PRIVATE KEY"


class TargetMaterials(NamedTuple):
    """What a rotator needs besides its parameters; the caller zeroes `admin`.

    `admin` are the values of the admin credential by the rotator's own names, none if there is no
    adminRef. `authority` are certificates in PEM, empty without a caRef.
    """

    admin: Payload
    authority: bytes


def followed(
    resource: SecretName, ref: RotatorRef, settings: RotatorSettings | None
) -> frozenset[FollowedObject]:
    """Name the objects whose change may end the trouble of a rotation.

    `settings` is None as long as the rotator cannot be read.
    """
    namespace = resource.namespace if ref.kind == NAMESPACED_KIND else ""
    found = {FollowedObject(PLURALS[ref.kind], namespace, ref.name)}
    named: tuple[AdminRef | AuthorityRef | None, ...] = ()
    if settings is not None:
        named = (settings.admin, settings.authority)
    found |= {
        FollowedObject(PLURALS[each.kind], each.namespace, each.name)
        for each in named
        if each is not None
    }
    # A ManagedSecret that is its own admin credential hears of its own changes anyway.
    return frozenset(found - {FollowedObject("managedsecrets", resource.namespace, resource.name)})


class Rotators:
    """Reads Rotators and ClusterRotators, and the objects that they name; keeps nothing."""

    def __init__(
        self,
        kube: KubeClient,
        *,
        author_checked: Callable[[SecretName], Awaitable[bool]],
        rotator_author_checked: Callable[[Json], Awaitable[bool]],
        own_namespaces: frozenset[str],
    ) -> None:
        self._kube = kube
        self._author_checked = author_checked
        self._rotator_author_checked = rotator_author_checked
        self._own_namespaces = own_namespaces

    async def read(self, resource: SecretName, ref: RotatorRef) -> RotatorSettings:
        """Read the rotator that a ManagedSecret names.

        Raises:
            SourceNotFoundError: there is none of that name.
            DeniedError: it is not for that namespace, or nobody has let this ManagedSecret use it.
            InvalidSpecError: it cannot be used as it is written; the message names the field.
        """
        namespace = resource.namespace if ref.kind == NAMESPACED_KIND else ""
        body = await self._get(ref.kind, namespace, ref.name)
        settings = parse(
            body,
            ref,
            author_checked=await self._rotator_author_checked(body),
            own_namespaces=self._own_namespaces,
        )
        if not allows_namespace(settings, resource.namespace):
            raise DeniedError(
                f"the ClusterRotator {ref.name!r} is not for the namespace {resource.namespace}; "
                "add it to its spec.allowedNamespaces, or use another"
            )
        _check_jobs(settings)
        wanted = resource.name if namespace else str(resource)
        annotations = body["metadata"].get("annotations") or {}
        if not is_allowed(annotations, wanted) and not await self._author_checked(resource):
            raise _not_open(ref.kind, namespace, ref.name, wanted)
        return settings

    async def target_materials(
        self, settings: RotatorSettings, managed: ManagedValues
    ) -> TargetMaterials:
        """Read the admin credential and the certificates of the authority.

        Raises:
            SourceNotFoundError: an object or a key is missing.
            DeniedError: the Rotator may not read it.
            InvalidSpecError: what the caRef names is no certificate.
        """
        # The secret part comes last, so that no error leaves a value behind.
        authority = await self._authority(settings)
        return TargetMaterials(await self._admin(settings, managed), authority)

    async def _admin(self, settings: RotatorSettings, managed: ManagedValues) -> Payload:
        ref = settings.admin
        if ref is None:
            return Payload({})
        if ref.kind is AdminKind.NATIVE:
            secret = await self._get(ref.kind, ref.namespace, ref.name)
            _check_consent(settings, ref, secret)
            return _by_own_names(decoded(secret.get("data")), ref)
        if not settings.author_checked:
            found = await self._get(ref.kind, ref.namespace, ref.name, accept=METADATA)
            _check_consent(settings, ref, found)
        return _by_own_names(await managed(SecretName(ref.namespace, ref.name)), ref)

    async def _authority(self, settings: RotatorSettings) -> bytes:
        ref = settings.authority
        if ref is None:
            return b""
        found = await self._get(ref.kind, ref.namespace, ref.name)
        data: Mapping[str, str] = found.get("data") or {}
        if ref.kind is AuthorityKind.NATIVE:
            _check_consent(settings, ref, found)
        if ref.key not in data:
            raise SourceNotFoundError(f"{_named(ref)} has no key {ref.key!r}")
        return _certificates(data[ref.key], ref)

    async def _get(self, kind: str, namespace: str, name: str, *, accept: str = JSON) -> Json:
        where = f" in {namespace}" if namespace else ""
        try:
            path = f"{path_of(PLURALS[kind], namespace)}/{name}"
            return await self._kube.request("GET", path, accept=accept)
        except KindNotFoundError as error:
            raise SourceNotFoundError(
                f"the cluster knows no {kind}; apply crds/ of this release"
            ) from error
        except ObjectNotFoundError as error:
            raise SourceNotFoundError(f"the {kind} {name!r} does not exist{where}") from error
        except DeniedError as error:
            raise name_the_role(error, namespace, name) from error


def _check_jobs(settings: RotatorSettings) -> None:
    """Refuse to run programs for whoever writes a Rotator, where no policy has looked at it.

    Whoever may write a ClusterRotator was given that right by an administrator of the cluster.
    """
    is_namespaced = settings.ref.kind == NAMESPACED_KIND
    if settings.type == "job" and is_namespaced and not settings.author_checked:
        raise DeniedError(
            f"the Rotator {settings.ref.name!r} runs Jobs, and is not younger than the policy "
            "keyturn-rotators, or that is not bound; make it anew, or use a ClusterRotator"
        )


def _check_consent(settings: RotatorSettings, ref: AdminRef | AuthorityRef, found: Json) -> None:
    annotations = found["metadata"].get("annotations") or {}
    if not settings.author_checked and not is_allowed(annotations, settings.consent_name):
        raise _not_open(ref.kind, ref.namespace, ref.name, settings.consent_name)


def _not_open(kind: str, namespace: str, name: str, wanted: str) -> DeniedError:
    where = f" -n {namespace}" if namespace else ""
    return DeniedError(
        f"the {kind} {name!r} is not open to {wanted}; its owner can run: kubectl annotate "
        f"{kind.lower()} {name}{where} {ALLOW}={wanted}"
    )


def _by_own_names(values: Mapping[str, SecretValue], ref: AdminRef) -> Payload:
    """Give the values the rotator's own names; what has no other keeps its key."""
    missing = sorted(set(ref.keys.values()) - values.keys())
    if missing:
        Payload(values).zero()
        raise SourceNotFoundError(f"{_named(ref)} has no key {missing[0]!r}")
    own = {name: values[key].copy() for name, key in ref.keys.items()}
    for name in own.keys() & values.keys():
        values[name].zero()
    return Payload({**values, **own})


def _certificates(text: str, ref: AuthorityRef) -> bytes:
    """Check that it is what is handed to the TLS library as public, and nothing secret."""
    try:
        pem = base64.b64decode(text) if ref.kind is AuthorityKind.NATIVE else text.encode()
    except binascii.Error:
        pem = b""
    if _CERTIFICATE not in pem or _PRIVATE_KEY in pem:
        raise InvalidSpecError(
            f"the key {ref.key!r} of {_named(ref)} holds no certificates, or more than these; "
            "name a key with certificates in PEM"
        )
    return pem


def _named(ref: AdminRef | AuthorityRef) -> str:
    return f"the {ref.kind} {ref.name!r} in {ref.namespace}"
