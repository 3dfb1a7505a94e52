"""Parse Rotators and ClusterRotators.

Every check of the CRDs and of the policy keyturn-rotators that safety rests on is made again, as
the admission of a cluster can be bypassed or be of another release. The parameters of a type are
checked by the rotator itself (`Rotator.check`).
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from keyturn.domain.duration import parse_duration
from keyturn.domain.errors import InvalidParameterError, InvalidSpecError
from keyturn.domain.managed_secret import CLUSTER_NAMESPACES, RESERVED_NAMES
from keyturn.domain.rotation import RotatorRef
from keyturn.domain.rotator import (
    BUILT_IN_TYPES,
    CLUSTER_KIND,
    DEFAULT_MAX_CONCURRENT,
    DEFAULT_TIMEOUT,
    AdminKind,
    AdminRef,
    AuthorityKind,
    AuthorityRef,
    RotatorSettings,
)
from keyturn.kube import rotator_schema as schema
from keyturn.kube.resource_checks import invalid
from keyturn.kube.validation import validated

PRIVATE_ADDRESSES = "allowPrivateAddresses"
"""The parameter that lets a rotator call what only the operator may reach."""

_SHORTEST, _LONGEST = parse_duration("1s"), parse_duration("60s")


def parse(
    body: Mapping[str, Any],
    ref: RotatorRef,
    *,
    author_checked: bool,
    own_namespaces: frozenset[str],
) -> RotatorSettings:
    """Parse a Rotator or ClusterRotator as the apiserver gives it.

    Raises:
        InvalidSpecError: something in it cannot be done; the message names the field and says
            what to write.
    """
    try:
        resource = validated(schema.Resource, body)
        scope = _Scope.of(ref, resource, own_namespaces)
        return _settings(resource, ref, scope, author_checked=author_checked)
    except InvalidSpecError as error:
        # It is read in the status of a ManagedSecret, which has a spec of its own.
        raise InvalidSpecError(f"the {ref.kind} {ref.name!r}: {error}") from None


class _Scope(NamedTuple):
    """Which namespaces a rotator may name: `own` is its own, empty for a ClusterRotator."""

    own: str
    closed: frozenset[str]

    @classmethod
    def of(
        cls, ref: RotatorRef, resource: schema.Resource, own_namespaces: frozenset[str]
    ) -> "_Scope":
        own = "" if ref.kind == CLUSTER_KIND else resource.metadata.namespace
        return cls(own, CLUSTER_NAMESPACES | own_namespaces)

    def namespace(self, written: str | None, field: str) -> str:
        """Tell the namespace of an object that the rotator names."""
        if self.own and written is not None:
            raise invalid(f"{field}.namespace", "is for a ClusterRotator only; leave it out")
        namespace = self.own or written
        if not namespace:
            raise invalid(f"{field}.namespace", "is missing; a ClusterRotator has none of its own")
        if namespace in self.closed:
            raise invalid(field, f"names an object in {namespace}, which is closed; use another")
        return namespace


def _settings(
    resource: schema.Resource, ref: RotatorRef, scope: _Scope, *, author_checked: bool
) -> RotatorSettings:
    spec = resource.spec
    rotator_type, parameters = _type(spec)
    if scope.own and parameters.get(PRIVATE_ADDRESSES):
        raise invalid(
            f"spec.{rotator_type}.{PRIVATE_ADDRESSES}", "is for a ClusterRotator only; leave it out"
        )
    return RotatorSettings(
        ref=ref,
        uid=resource.metadata.uid,
        type=rotator_type,
        parameters=parameters,
        author_checked=author_checked,
        admin=_admin(spec.admin_ref, scope),
        authority=_authority(spec.ca_ref, scope),
        allowed_usernames=tuple(spec.allowed_usernames),
        allowed_namespaces=_allowed_namespaces(spec, scope),
        timeout=_timeout(spec.timeout),
        max_concurrent=spec.max_concurrent or DEFAULT_MAX_CONCURRENT,
    )


def _type(spec: schema.Spec) -> tuple[str, Mapping[str, Any]]:
    given = {name: getattr(spec, name) for name in BUILT_IN_TYPES}
    types = [(name, parameters) for name, parameters in given.items() if parameters is not None]
    if spec.plugin is not None:
        types.append((spec.plugin.name, spec.plugin.parameters))
        if spec.plugin.name in BUILT_IN_TYPES:
            raise invalid(
                "spec.plugin.name", f"is built in; write {spec.plugin.name}: … without plugin"
            )
    if len(types) != 1:
        raise invalid("spec", f"needs exactly one of {', '.join(BUILT_IN_TYPES)} and plugin")
    return types[0]


def _admin(ref: schema.AdminRef | None, scope: _Scope) -> AdminRef | None:
    if ref is None:
        return None
    namespace = scope.namespace(ref.namespace, "spec.adminRef")
    _check_name(ref.name, "spec.adminRef.name")
    return AdminRef(AdminKind(ref.kind), namespace, ref.name, ref.keys)


def _authority(ref: schema.CaRef | None, scope: _Scope) -> AuthorityRef | None:
    if ref is None:
        return None
    namespace = scope.namespace(ref.namespace, "spec.caRef")
    _check_name(ref.name, "spec.caRef.name")
    return AuthorityRef(AuthorityKind(ref.kind), namespace, ref.name, ref.key)


def _check_name(name: str, field: str) -> None:
    if name in RESERVED_NAMES:
        raise invalid(field, "is reserved for Keyturn itself; name another")


def _allowed_namespaces(spec: schema.Spec, scope: _Scope) -> tuple[str, ...]:
    if scope.own and spec.allowed_namespaces:
        raise invalid("spec.allowedNamespaces", "is for a ClusterRotator only; leave it out")
    if not scope.own and not spec.allowed_namespaces:
        raise invalid("spec.allowedNamespaces", 'is missing; write for example ["shop", "team-*"]')
    return tuple(spec.allowed_namespaces)


def _timeout(written: str | None) -> float:
    if written is None:
        return DEFAULT_TIMEOUT
    try:
        timeout = parse_duration(written)
    except InvalidParameterError as error:
        raise invalid("spec.timeout", str(error)) from None
    if not _SHORTEST <= timeout <= _LONGEST:
        raise invalid("spec.timeout", "is out of bounds; write 1s to 60s")
    return timeout.total_seconds()
